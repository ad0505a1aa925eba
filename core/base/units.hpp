// Figures for people: each kind has one unit and one number of digits, wherever it is shown (docs/glossary.md).
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

/// Operations, such as multiply-adds: "37", "9999", "12.35 k", "12.34 M", "12.34 G".
std::string operations_text(double count);

/// So many parameters or numbers, all digits: "270,058".
std::string count_text(std::int64_t count);

/// Executed operations and their share of the dense ones: "18.41 M (45.1 %)"; the share is left out where there are no
/// dense ones.
std::string executed_text(double executed, double dense);

/// Images that were found, a share from 0 to 1: "91.65 %". Also of a probability.
std::string accuracy_text(double share);

/// What was open, executed or saved, a share from 0 to 1: "45.1 %".
std::string share_text(double share);

/// A loss: "0.4321".
std::string loss_text(double loss);

/// The mean of activations' bits: "2.71".
std::string bits_text(double bits);

/// A learning rate: "0.100", "0.0951", "1.00e-06".
std::string lr_text(double rate);

/// How long something took: "1.6 s", "12.3 min", "4.56 h".
std::string time_text(double seconds);

/// Milliseconds, without their unit: "0.043", "1.66", "12.3", "123".
std::string milliseconds_text(double milliseconds);

/// How many come in a second: "0.12", "3.21", "56.7", "1234".
std::string per_second_text(double count);

/// So many of a thing whose plural has an s: "1 thread", "2 threads".
std::string counted(std::int64_t count, const std::string& thing);

}  // namespace sluice
