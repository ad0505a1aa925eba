# What `cmake --install` puts in place: libraries, programs, the public headers below include/sluice, documents, networks, experiments and
# examples, and the packages with which find_package(sluice) and pkg-config find them: sluice::sluice, or only sluice::core, sluice::layers
# and sluice::gating. Its components are the Debian packages of SluicePackages.cmake.
include(CMakePackageConfigHelpers)

set(sluice_libraries sluice_core sluice_layers sluice_gating sluice)
set_target_properties(${sluice_libraries} PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
install(TARGETS ${sluice_libraries} EXPORT sluiceTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libraries NAMELINK_COMPONENT headers)

# <sluice/model.hpp> lies in include/sluice, and what it includes as "core/..." below that.
foreach(header ${SLUICE_PUBLIC_HEADERS})
  get_filename_component(folder ${header} DIRECTORY)
  string(REGEX REPLACE "^apps/sluice$" "" folder "${folder}")
  install(FILES ${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/sluice/${folder} COMPONENT headers)
endforeach()
install(FILES ${SLUICE_GENERATED_DIR}/core/plugin/build_id.hpp
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/sluice/core/plugin COMPONENT headers)
# Below share/sluice everything has the place that it has here, so that paths in documents and messages hold there.
set(sluice_data ${CMAKE_INSTALL_DATADIR}/sluice)
install(DIRECTORY configs/cluster configs/experiments configs/networks DESTINATION ${sluice_data}/configs COMPONENT networks)
install(DIRECTORY configs/pretrained DESTINATION ${sluice_data}/configs COMPONENT pretrained)
# To copy: docs/adding-a-layer.md and docs/bring-your-own.md walk through them.
install(DIRECTORY tests/plugin tests/own_gate DESTINATION ${sluice_data}/examples COMPONENT networks)
install(FILES LICENSE CITATION.cff README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documents)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documents)
install(PROGRAMS ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/sluice-get-data DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
install(PROGRAMS apps/pt2h5.py DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
configure_file(cmake/packaging/modulefile.in ${CMAKE_BINARY_DIR}/modulefile @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/modulefile DESTINATION ${sluice_data}/modulefiles/sluice RENAME ${PROJECT_VERSION} COMPONENT module)

set(sluice_package ${CMAKE_INSTALL_LIBDIR}/cmake/sluice)
install(EXPORT sluiceTargets NAMESPACE sluice:: DESTINATION ${sluice_package} COMPONENT headers)
configure_package_config_file(cmake/sluiceConfig.cmake.in ${CMAKE_BINARY_DIR}/sluiceConfig.cmake
  INSTALL_DESTINATION ${sluice_package} NO_SET_AND_CHECK_MACRO)
# A minor version may change the interface until 1.0.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/sluiceConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/sluiceConfig.cmake ${CMAKE_BINARY_DIR}/sluiceConfigVersion.cmake
  DESTINATION ${sluice_package} COMPONENT headers)

# The prefix follows from where the file lies: an installed tree may be moved.
file(RELATIVE_PATH prefix_from_pkgconfig ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
get_target_property(dnnl_includes DNNL::dnnl INTERFACE_INCLUDE_DIRECTORIES)
get_filename_component(dnnl_library_folder ${dnnl_DIR}/../.. ABSOLUTE)
set(dnnl_libs -ldnnl)
if(NOT dnnl_library_folder IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
  set(dnnl_libs "-L${dnnl_library_folder} -ldnnl")
endif()
set(dnnl_cflags "")
foreach(folder ${dnnl_includes})
  if(NOT folder MATCHES "^/usr/include/?$")
    string(APPEND dnnl_cflags " -I${folder}")
  endif()
endforeach()
configure_file(cmake/sluice.pc.in ${CMAKE_BINARY_DIR}/sluice.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/sluice.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT headers)
