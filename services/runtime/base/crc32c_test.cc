#include "services/runtime/base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

#include "services/runtime/base/random.h"

namespace lab {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32cTest, GivesThePublishedValues) {
  std::string rising(32, '\0'), falling(32, '\0');
  for (size_t i = 0; i < 32; ++i) {
    rising[i] = static_cast<char>(i);
    falling[i] = static_cast<char>(31 - i);
  }
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc32c(rising), 0x46dd794eu);
  EXPECT_EQ(Crc32c(falling), 0x113fdb5cu);
}

TEST(Crc32cTest, PlainCodeAndTheInstructionAgree) {
  Random random(11);
  std::string bytes;
  for (size_t size = 0; size < 300; ++size) {
    EXPECT_EQ(Crc32c(bytes), internal::PortableCrc32c(bytes)) << size;
    if (size > 3) {
      EXPECT_EQ(Crc32c(std::string_view(bytes).substr(3)), internal::PortableCrc32c(bytes.substr(3)));
    }
    bytes.push_back(static_cast<char>(random.Next()));
  }
}

TEST(Crc32cTest, SeesEveryFlippedBit) {
  std::string bytes(100, 'x');
  const uint32_t right = Crc32c(bytes);
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(Crc32c(bytes), right) << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  }
}

}  // namespace
}  // namespace lab
