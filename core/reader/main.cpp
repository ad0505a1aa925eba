// sluice-reader: reads HDF5 files for programs that must survive them. The library starts it; users do not.
#include "core/reader/all_services.hpp"

int main() {
  return sluice::serve_reader(sluice::all_reader_services());
}
