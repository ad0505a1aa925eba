// What becomes of a program when oneDNN crashes.
#pragma once

namespace sluice {

/// oneDNN (seen with 2.6) follows a null pointer where it gets no memory for the code that it generates. From now on a
/// crash inside its library ends the process with a line on stderr that begins with `program`, and exit code
/// kEnvironment. Other crashes stay what they are. `program` must live on.
void explain_crashes_of_onednn(const char* program);

}  // namespace sluice
