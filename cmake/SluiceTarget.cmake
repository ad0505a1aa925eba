# What every Sluice target has in common: the language level, warnings, sanitizers, and the portable instruction set.
add_library(sluice_options INTERFACE)
target_compile_features(sluice_options INTERFACE cxx_std_17)
target_compile_options(sluice_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion $<$<BOOL:${SLUICE_WERROR}>:-Werror> -ffp-contract=off)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  # Kernel libraries (SluiceIsa.cmake) bring an instruction set of their own.
  target_compile_options(sluice_options INTERFACE $<$<NOT:$<BOOL:$<TARGET_PROPERTY:SLUICE_ISA>>>:-march=x86-64-v2>)
endif()
if(SLUICE_SANITIZE)
  target_compile_options(sluice_options INTERFACE -fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  # In test code the address sanitizer finds what these find, and they take half of the time to compile it.
  target_compile_options(sluice_options INTERFACE
    $<$<BOOL:$<TARGET_PROPERTY:SLUICE_TEST>>:-fno-sanitize=alignment,null,object-size,vptr>)
  # In kernels too, where everything is inlined: with them, or where locals leave their scope, one file takes minutes.
  target_compile_options(sluice_options INTERFACE
    $<$<BOOL:$<TARGET_PROPERTY:SLUICE_ISA>>:-fno-sanitize=alignment,bounds,null,object-size,vptr>
    $<$<BOOL:$<TARGET_PROPERTY:SLUICE_ISA>>:-fno-sanitize-address-use-after-scope>)
  target_link_options(sluice_options INTERFACE -fsanitize=${SLUICE_SANITIZE})
endif()

# sluice_library(name): a shared library that exports namespace sluice alone.
function(sluice_library name)
  add_library(${name} SHARED)
  string(REPLACE "sluice_" "" part ${name})
  add_library(sluice::${part} ALIAS ${name})
  set_target_properties(${name} PROPERTIES EXPORT_NAME ${part} LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/sluice.map)
  if(NOT SLUICE_SANITIZE)  # whose run times export symbols of their own
    target_link_options(${name} PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/sluice.map)
  endif()
endfunction()
