#pragma once

#include <cstdint>
#include <string_view>

namespace lab {

// CRC-32C (Castagnoli; RFC 3720, appendix B.4): finds every burst of up to 32 bits, and all but one in 2^32 of other
// damage. No protection against anybody who means harm. Uses the processor's instruction where there is one.
uint32_t Crc32c(std::string_view bytes);

namespace internal {
// The same in plain code, eight bytes a step (Kounavis and Berry, "A systematic approach to building high performance
// software-based CRC generators", 2005).
uint32_t PortableCrc32c(std::string_view bytes);
}  // namespace internal

}  // namespace lab
