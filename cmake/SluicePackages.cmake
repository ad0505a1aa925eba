# Debian packages, in the preset `packages`: `cpack` in its build folder makes a package of each component of SluiceInstall.cmake.
# cmake/packaging/make.sh does everything in a bare Debian.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sluice)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION}-1)
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/debs)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${CMAKE_PROJECT_NAME} built using CMake")  # CPack's own: each package has a first line of its own
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(SLUICE_MAINTAINER "The Sluice developers <sluice@localhost>" CACHE STRING "Name and address that Debian packages bear")
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${SLUICE_MAINTAINER})
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
set(CPACK_COMPONENTS_ALL "")

string(TIMESTAMP SLUICE_PACKAGE_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(cmake/packaging/changelog.in ${CMAKE_BINARY_DIR}/packaging/changelog.Debian @ONLY)
find_program(SLUICE_GZIP gzip REQUIRED)
execute_process(COMMAND ${SLUICE_GZIP} -9nf changelog.Debian WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/packaging COMMAND_ERROR_IS_FATAL ANY)

# sluice_package(component name section first_line text [depends...]): what cpack makes of a component. A macro: CPack reads variables.
macro(sluice_package component name section first_line text)
  string(TOUPPER ${component} upper)
  list(APPEND CPACK_COMPONENTS_ALL ${component})
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${first_line}
Sluice trains and runs convolutional networks on CPUs, from configuration
files. Gated networks decide for each image which parts of themselves to
compute; the others are skipped.
.
${text}")
  string(REPLACE ";" ", " CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${ARGN}")
  install(FILES cmake/packaging/copyright ${CMAKE_BINARY_DIR}/packaging/changelog.Debian.gz
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} COMPONENT ${component})
endmacro()

set(sluice_libraries_package libsluice${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(sluice_same "(= ${CPACK_PACKAGE_VERSION})")
sluice_package(programs sluice science "gated convolutional networks on CPUs: programs"
  "This package has the programs, which train, evaluate, deploy, export and\nimport networks, and their manual pages."
  "${sluice_libraries_package} ${sluice_same}" python3)
sluice_package(libraries ${sluice_libraries_package} libs "gated convolutional networks on CPUs: libraries"
  "This package has the shared libraries, and the program with which they read\nfiles.")
sluice_package(headers libsluice-dev libdevel "gated convolutional networks on CPUs: headers"
  "This package has what C++ programs and plug-ins are built with: headers, and\nfiles for CMake and pkg-config."
  "${sluice_libraries_package} ${sluice_same}" libdnnl-dev ocl-icd-opencl-dev)
sluice_package(documents sluice-doc doc "gated convolutional networks on CPUs: documents"
  "This package has the documents.")
sluice_package(networks sluice-networks science "gated convolutional networks on CPUs: networks and examples"
  "This package has networks, experiments, and examples of layers and gates of\none's own.")
sluice_package(pretrained sluice-pretrained science "gated convolutional networks on CPUs: trained weights"
  "This package has checkpoints of networks that were trained on CIFAR-10.")

foreach(component PROGRAMS LIBRARIES)
  set(CPACK_DEBIAN_${component}_PACKAGE_SHLIBDEPS ON)
endforeach()
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_RECOMMENDS sluice-networks)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SUGGESTS "sluice-doc, sluice-pretrained, python3-torch, python3-h5py")
set(CPACK_DEBIAN_HEADERS_PACKAGE_SUGGESTS "sluice-doc, sluice-networks")
set(CPACK_DEBIAN_NETWORKS_PACKAGE_RECOMMENDS sluice-pretrained)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
foreach(component DOCUMENTS NETWORKS PRETRAINED)
  set(CPACK_DEBIAN_${component}_PACKAGE_ARCHITECTURE all)
endforeach()
set(CPACK_DEBIAN_LIBRARIES_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/cmake/packaging/triggers)

# A manual page for each program, from what it says itself.
get_property(programs GLOBAL PROPERTY SLUICE_PROGRAMS)
foreach(program ${programs} sluice-get-data)
  set(file ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/${program})
  set(made_by ${file})
  if(TARGET ${program})
    set(made_by ${program})
  endif()
  set(page ${CMAKE_BINARY_DIR}/packaging/${program}.1.gz)
  add_custom_command(OUTPUT ${page} DEPENDS ${made_by} cmake/packaging/man.sh
    COMMAND ${PROJECT_SOURCE_DIR}/cmake/packaging/man.sh ${file} ${PROJECT_VERSION} ${page})
  list(APPEND pages ${page})
endforeach()
add_custom_target(manual_pages ALL DEPENDS ${pages})
install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT programs)

include(CPack)
