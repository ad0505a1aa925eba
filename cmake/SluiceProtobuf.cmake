# Parts that speak Protocol Buffers: ONNX files, event files of TensorBoard.

# sluice_find_protobuf(OPTION WHAT): sets SLUICE_HAS_PROTOBUF where OPTION (ON, OFF or AUTO) and the system allow it, else
# says what is missing then.
macro(sluice_find_protobuf option what)
  set(SLUICE_HAS_PROTOBUF FALSE)
  if(${option} STREQUAL "AUTO")
    find_package(Protobuf)
  elseif(${option})
    find_package(Protobuf REQUIRED)
  endif()
  if(${option} AND Protobuf_FOUND AND TARGET protobuf::protoc)
    set(SLUICE_HAS_PROTOBUF TRUE)
  elseif(${option})
    message(STATUS "No protobuf: ${what}")
  endif()
endmacro()

# sluice_schema(TARGET NAME): NAME.proto of this folder as C++ in TARGET, by the lite runtime.
function(sluice_schema target name)
  file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  set(schema ${folder}/${name})
  set(made ${CMAKE_CURRENT_BINARY_DIR}/made)  # not among the headers that warnings are for
  file(MAKE_DIRECTORY ${made})
  add_custom_command(OUTPUT ${made}/${schema}.pb.cc ${made}/${schema}.pb.h
    COMMAND protobuf::protoc --proto_path=${PROJECT_SOURCE_DIR} --cpp_out=${made} ${PROJECT_SOURCE_DIR}/${schema}.proto
    DEPENDS ${name}.proto)
  target_sources(${target} PRIVATE ${made}/${schema}.pb.cc)
  set_source_files_properties(${made}/${schema}.pb.cc PROPERTIES COMPILE_OPTIONS -w SKIP_UNITY_BUILD_INCLUSION ON)
  set_target_properties(${target} PROPERTIES CXX_VISIBILITY_PRESET hidden)
  target_include_directories(${target} SYSTEM PUBLIC ${made})
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf-lite)
endfunction()
