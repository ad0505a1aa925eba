# sluice_isa_sources(target file...): compiles each kernel file once for every instruction set and links all of them into the target;
# the program chooses at run time (core/base/cpu.hpp). Inside, SLUICE_ISA names the namespace of the build.
function(sluice_isa_sources target)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    sluice_isa_library(${target} portable "-march=x86-64-v2" ${ARGN})
    sluice_isa_library(${target} avx2 "-march=x86-64-v3" ${ARGN})
    sluice_isa_library(${target} avx512 "-march=x86-64-v4;-mprefer-vector-width=512" ${ARGN})
  else()
    sluice_isa_library(${target} portable "" ${ARGN})
  endif()
endfunction()

# sluice_vnni_sources(target file...): the same once more, in the namespace avx512_vnni, for what gains by products of bytes.
function(sluice_vnni_sources target)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    sluice_isa_library(${target} avx512_vnni "-march=x86-64-v4;-mavx512vnni;-mprefer-vector-width=512" ${ARGN})
  endif()
endfunction()

# For one instruction set and its flags.
function(sluice_isa_library target isa flags)
  # Fused multiply-adds are wanted in kernels. (Options of a source stand behind those of its targets, which turn them off.)
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -ffp-contract=fast)
  set(library ${target}_${isa})
  if(NOT TARGET ${library})
    add_library(${library} OBJECT)
    set_target_properties(${library} PROPERTIES POSITION_INDEPENDENT_CODE ON SLUICE_ISA ${isa})
    target_link_libraries(${library} PRIVATE sluice_options)
    target_include_directories(${library} PRIVATE ${PROJECT_SOURCE_DIR})
    # Vectors wider than the baseline never cross a function's boundary.
    target_compile_options(${library} PRIVATE ${flags} $<$<NOT:$<CONFIG:Sanitizer>>:-O3> -fno-math-errno -fno-trapping-math -Wno-psabi)
    target_compile_definitions(${library} PRIVATE SLUICE_ISA=${isa})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${library}>)
  endif()
  target_sources(${library} PRIVATE ${ARGN})
endfunction()
