# What `cmake --install` puts in place: libraries, public headers below include/sluice, networks and experiments, and the
# package with which find_package(sluice) finds sluice::core, sluice::layers and sluice::gating.
include(CMakePackageConfigHelpers)

set_target_properties(sluice_core sluice_layers sluice_gating PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
install(TARGETS sluice_core sluice_layers sluice_gating EXPORT sluiceTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})

set(sluice_headers ${CMAKE_INSTALL_INCLUDEDIR}/sluice)
install(DIRECTORY ${SLUICE_PUBLIC_FOLDERS} DESTINATION ${sluice_headers} FILES_MATCHING PATTERN "*.hpp" PATTERN "*_detail.hpp" EXCLUDE)
install(DIRECTORY ${SLUICE_GENERATED_DIR}/core DESTINATION ${sluice_headers} FILES_MATCHING PATTERN "*.hpp")
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/sluice)
install(FILES LICENSE CITATION.cff DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(sluice_package ${CMAKE_INSTALL_LIBDIR}/cmake/sluice)
install(EXPORT sluiceTargets NAMESPACE sluice:: DESTINATION ${sluice_package})
configure_package_config_file(cmake/sluiceConfig.cmake.in ${CMAKE_BINARY_DIR}/sluiceConfig.cmake
  INSTALL_DESTINATION ${sluice_package} NO_SET_AND_CHECK_MACRO)
# A minor version may change the interface until 1.0.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/sluiceConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/sluiceConfig.cmake ${CMAKE_BINARY_DIR}/sluiceConfigVersion.cmake
  DESTINATION ${sluice_package})
