# Writes OUTPUT, the header that says which Sluice this is: the version and a digest of the public headers, by which a plug-in that
# was built with other headers is recognised. Run as: cmake -DROOT=... -DHEADERS=... -DVERSION=... -DOUTPUT=... -P
# SluiceInterfaceId.cmake
list(SORT HEADERS)
set(digests "")
foreach(header ${HEADERS})
  file(SHA256 ${ROOT}/${header} digest)
  string(APPEND digests "${header} ${digest}\n")
endforeach()
string(SHA256 id "${digests}")
string(SUBSTRING ${id} 0 12 id)
set(text "// Made by the build from all public headers.\n#pragma once\n\n")
string(APPEND text "#define SLUICE_VERSION \"${VERSION}\"\n#define SLUICE_INTERFACE_ID \"${id}\"\n")
file(WRITE ${OUTPUT} "${text}")
