// What the system says about a failed call, and what to do about it: one place for every file that is read or written.
#pragma once

#include <string>

namespace sluice {

/// What a failed call was for: the advice on permissions differs.
enum class Access { kRead, kWrite };

/// What to do about a failed call; empty where the reason of the system says it all.
std::string system_advice(int error_number, Access access);

/// "<reason of the system>; <what to do>": "Too many open files; raise the limit (ulimit -n)". Of a missing or
/// forbidden file that was to be read it is the reason alone.
std::string system_reason(int error_number, Access access);

/// Throws Error(kEnvironment) "<path>: cannot <action>: <reason of the system>; <what to do>".
[[noreturn]] void throw_system_error(const std::string& path, const std::string& action, int error_number,
                                     Access access = Access::kWrite);

}  // namespace sluice
