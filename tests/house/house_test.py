# Proves that every check of house.py fails where it should and only there, on small trees made for it.
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import house

ORDERLY = {
    "README.md": "A house.\n",
    "core/a.hpp": '// A.\n#pragma once\n#include <vector>\n\n#include "core/b.hpp"\n',
    "core/b.hpp": "// B.\n#pragma once\n",
    "core/b.cpp": '#include "core/b.hpp"\n',
    "layers/c.cpp": '// C.\n#include "core/a.hpp"\n',
    "gating/d.cpp": '// D: gating.\n#include "layers/c.hpp"\n',
    "apps/sluice/face.hpp": '// Face.\n#pragma once\n#include "core/a.hpp"\n#include "core/plugin/build_id.hpp"\n',
    "cmake/SluicePublicHeaders.cmake": "set(SLUICE_PUBLIC_HEADERS\n  apps/sluice/face.hpp\n\n  core/a.hpp\n  core/b.hpp)\n",
    "apps/setup.sh": "sluice_build_packages=(g++ zlib1g-dev\n  libtbb-dev)\n",
    "apps/e.cpp": '// E.\n#include "gating/d.hpp"\n\nint main() { return 0; }\n',
    "tests/f.cpp": '// F.\n#include "apps/e.hpp"\n',
}


class HouseTest(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="sluice_house_"))
        self.addCleanup(shutil.rmtree, self.root)
        for name, text in ORDERLY.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def expect(self, check, *breaches):
        self.assertEqual(house.CHECKS[check](self.root), list(breaches))

    def test_an_orderly_house_passes(self):
        for check in house.CHECKS:
            if check != "format" or shutil.which("clang-format"):
                self.expect(check)

    def test_arrows(self):
        self.write("core/b.cpp", '// B.\n#include "core/a.hpp"\n  #  include "layers/c.hpp"\n')
        self.write("layers/c.cpp", '// C.\n\n#include "gating/d.hpp"\n#include "tests/f.hpp"\n')
        self.write("gating/d.cpp", '// D.\n#include "apps/e.hpp"\n')
        self.write("apps/e.cpp", '// E.\n#include "../core/a.hpp"\n#include "e.hpp"\n')
        self.expect("arrows",
                    'apps/e.cpp:2: "../core/a.hpp" is not written from the root',
                    'apps/e.cpp:3: "e.hpp" is not written from the root',
                    "core/b.cpp:3: core must not include layers/c.hpp",
                    "gating/d.cpp:2: gating must not include apps/e.hpp",
                    "layers/c.cpp:3: layers must not include gating/d.hpp",
                    "layers/c.cpp:4: layers must not include tests/f.hpp")

    def test_order_inside_core(self):
        self.write("core/config/c.hpp", '// C.\n#pragma once\n#include "core/base/b.hpp"\n#include "core/train/t.hpp"\n')
        self.write("core/model/m.cpp", '// M.\n#include "core/model/m.hpp"\n#include "core/train/t.hpp"\n')
        self.write("core/data/d.cpp", '// D.\n#include "core/checkpoint/c.hpp"\n')
        self.write("core/reader/main.cpp", '// R.\n#include "core/data/d.hpp"\n')
        self.write("core/serve/s.cpp", "// S.\n")
        self.expect("order", "core/config/c.hpp:4: core/config must not include core/train/t.hpp",
                    "core/model/m.cpp:3: core/model must not include core/train/t.hpp",
                    "core/serve/s.cpp: core/serve has no place in house.py's order")

    def test_public(self):
        self.write("core/b.hpp", '// B.\n#pragma once\n#include <nlohmann/json.hpp>\n#include "core/c.hpp"\n')
        self.write("core/d.hpp", "// D.\n#pragma once\n")
        self.write("apps/sluice/other.hpp", '// Other.\n#pragma once\n#include "core/e.hpp"\n')
        self.write("cmake/SluicePublicHeaders.cmake",
                   "set(SLUICE_PUBLIC_HEADERS\n  apps/sluice/face.hpp\n  core/a.hpp\n  core/b.hpp\n  core/d.hpp)\n")
        listed = "cmake/SluicePublicHeaders.cmake"
        self.expect("public", f"{listed}: core/d.hpp is not reached by any header of apps/sluice",
                    f"core/b.hpp: includes core/c.hpp, which {listed} does not install",
                    "core/b.hpp:3: <nlohmann/json.hpp> in a public header", f"apps/sluice/other.hpp: is not in {listed}")

    def test_onednn_comes_through_one_header(self):
        include = '#pragma once\n#include "oneapi/dnnl/dnnl.hpp"\n'
        self.write("core/graph/onednn.hpp", "// The one.\n" + include)
        self.write("layers/c.hpp", "// Another.\n" + include)
        self.expect("arrows", "layers/c.hpp:3: only core/graph/onednn.hpp brings oneDNN's types into headers")

    def test_history_without_git_is_none_of_its_files(self):
        self.write(".git/pack", "x" * (house.MAX_FILE_BYTES + 1))
        with mock.patch("house.shutil.which", return_value=None):
            self.expect("top-level")

    def test_libraries(self):
        self.write("core/b.cpp", '#include "core/b.hpp"\n#include <sys/stat.h>\n#include <zlib.h>\n\n#include <tbb/task_arena.h>\n')
        self.write("layers/c.cpp", "// C.\n#include <nlohmann/json.hpp>\n")
        self.write("apps/e.cpp", "// E.\n#include <fmt/format.h>\n")
        self.write("tests/f.cpp", "// F.\n#include <gtest/gtest.h>\n")
        self.expect("libraries", "apps/e.cpp:2: <fmt/format.h> is of no library in house.py's list",
                    "layers/c.cpp:2: <nlohmann/json.hpp> wants nlohmann-json3-dev among sluice_build_packages of apps/setup.sh")

    def test_words(self):
        self.write("core/b.cpp", '#include "core/b.hpp"\n// For Gating.\n')
        self.write("layers/c.cpp", '// C.\nif (type == "pg_conv") return;\nconst char* other = "cg_conv";\n')
        why = "what gating needs is a service for any plug-in"
        self.expect("words", f"core/b.cpp:2: 'Gating' in core: {why}", f"layers/c.cpp:2: 'pg_conv' in layers: {why}",
                    f"layers/c.cpp:3: 'cg_conv' in layers: {why}")

    def test_words_that_only_contain_them(self):
        self.write("core/b.cpp", '#include "core/b.hpp"\n// propagating, aggregating\n')
        self.expect("words")

    def test_memory(self):
        sum_of_bytes = "// C.\nchar* const rest = static_cast<char*>(c.scratch) + bytes;\n"
        self.write("layers/c.cpp", sum_of_bytes)
        self.write("layers/kernels/k.cpp", sum_of_bytes)
        self.write("core/graph/slots.cpp", sum_of_bytes)
        self.write("core/b.cpp", sum_of_bytes)
        self.write("gating/d.cpp", "// D.\nstd::memcpy(c.dst.as<std::byte>() + begin, from, n);\nif (training_) keep();\n")
        why = "places in memory are known to core/graph/slots.hpp alone; book a slot"
        self.expect("memory", f"gating/d.cpp:2: {why}",
                    "gating/d.cpp:3: an operation is for one mode; make a class for each", f"layers/c.cpp:2: {why}")

    def test_top_level(self):
        self.write("notes.txt", "later\n")
        self.write("src/g.cpp", "// G.\n")
        self.write("configs/huge.h5", "x" * (house.MAX_FILE_BYTES + 1))
        self.expect("top-level", "notes.txt: does not belong at the top level", "src: does not belong at the top level",
                    f"configs/huge.h5: {house.MAX_FILE_BYTES + 1} bytes, the limit is {house.MAX_FILE_BYTES}")

    def test_long_files(self):
        self.write("core/b.cpp", "// B.\n" * 501)
        self.write("core/a.hpp", "// A.\n#pragma once\n" * 250)
        self.write("core/CMakeLists.txt", "#\n" * 81)
        self.expect("sizes", "core/CMakeLists.txt: 81 lines, the limit is 80", "core/b.cpp: 501 lines, the limit is 500")

    def lines_of(self, text):
        return [(name, length) for name, _, length in house.functions(text)]

    def test_long_functions(self):
        body = "  f();\n" * 77
        self.write("core/b.cpp", "// B.\nint short_one(int x) {\n" + body + "  f();\n}\n\nint long_one(\n    int x) {\n" + body + "\n}\n")
        self.expect("sizes", "core/b.cpp:83: long_one has 81 lines, the limit is 80")

    def test_what_counts_as_a_function(self):
        text = """// f() {
namespace n {
struct S : Base<int()> {
  S()
      : a_(1), b_{2} {
    f(T{3});
  }
  void method() const override {
    if (x) {
      for (;;) {}
    }
    run([&](int) {
      g();
    });
  }
  int a_ = 0;
};
template <class T>
auto make(T t) -> decltype(f(t)) {
  const char* brace = "}{ \\" {";
  const char c = '{';
  const int million = 1'000'000;
  return R"({ raw } ")";
}
#define MACRO(x) \\
  do {           \\
  } while (0)
TEST(Suite, Case) {
}
enum E { kA };
extern "C" {
void linked() {}
}
}
"""
        self.assertEqual(self.lines_of(text), [("S", 4), ("method", 8), ("make", 6), ("TEST", 2), ("linked", 1)])

    def test_text(self):
        self.write("core/a.hpp", "// A.\n")
        self.write("core/b.cpp", "\n// B.\n")
        self.write("layers/c.cpp", "// C.\n// TODO: the rest\n")
        self.expect("text", "core/a.hpp: a header without #pragma once",
                    "core/b.cpp:1: the first line must be a comment that says what the file is for",
                    "layers/c.cpp:2: work left undone: // TODO: the rest")

    def test_columns(self):
        fits, long_one = "a " * 49 + "ab", "a " * 49 + "abc"
        self.write("README.md", f"# Title\n\n{fits}\n{long_one}\n")
        self.write("docs/a.md", f"- {fits}\n  {fits}\n    {long_one}\n\n```\n{long_one}\n```\n{long_one}\n")
        why = "columns, the limit for prose is 100"
        self.expect("columns", f"README.md:4: 101 {why}", f"docs/a.md:1: 102 {why}", f"docs/a.md:2: 102 {why}",
                    f"docs/a.md:3: 105 {why}", f"docs/a.md:8: 101 {why}")

    def test_columns_of_what_is_no_prose(self):
        wide = "a " * 60
        self.write("docs/a.md", f"# {wide}\n| {wide} |\n![{wide}](a.svg)\n[a]: {wide}\n<!-- {wide} -->\n\n"
                                f"    {wide}\n\n    {wide}\n```sh\n{wide}\n```\n")
        self.write("configs/b.md", wide)
        self.write("docs/c.txt", wide)
        self.expect("columns")

    @unittest.skipUnless(shutil.which("clang-format"), "clang-format is not installed")
    def test_format(self):
        self.write(".clang-format", "BasedOnStyle: Google\n")
        self.write("core/b.cpp", "// B.\nint  f( ){return 1 ;}\n")
        try:
            self.expect("format", "core/b.cpp: clang-format would change it")
        except house.Skip as reason:
            self.skipTest(str(reason))


if __name__ == "__main__":
    unittest.main()
