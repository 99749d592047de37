#include "services/runtime/redis/protocol.h"

#include <gtest/gtest.h>

#include "services/runtime/redis/sha1.h"

namespace lab::redis {
namespace {

// FIPS 180 examples (NIST, "Examples with Intermediate Values") and the edges of the padding.
TEST(Sha1Test, MatchesThePublishedVectors) {
  EXPECT_EQ(Sha1Hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(Sha1Hex(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(Sha1Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(Sha1Hex(std::string(1'000'000, 'a')), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  EXPECT_EQ(Sha1Hex(std::string(55, 'a')), "c1c8bbdc22796e28c0e15163d20899b65621d65a");
  EXPECT_EQ(Sha1Hex(std::string(64, 'a')), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
}

TEST(ProtocolTest, CommandsAreLengthPrefixed) {
  EXPECT_EQ(FormatCommand({"SET", "key", ""}), "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$0\r\n\r\n");
  EXPECT_EQ(FormatCommand({std::string_view("a\r\n\0b", 5)}), std::string("*1\r\n$5\r\na\r\n\0b\r\n", 15));
  EXPECT_EQ(FormatCommand({std::string(1234, 'x')}).substr(0, 11), "*1\r\n$1234\r\n");
}

TEST(ProtocolTest, ErrorsTellTheServersStateFromABadCommand) {
  for (const char* text : {"READONLY You can't write", "OOM command not allowed", "LOADING Redis is loading",
                           "MISCONF x", "NOAUTH Authentication required.", "CLUSTERDOWN Hash slot not served",
                           "MOVED 3999 127.0.0.1:6381", "BUSY Redis is busy", "MASTERDOWN Link with MASTER is down"}) {
    EXPECT_EQ(StatusOfError(text).code(), absl::StatusCode::kFailedPrecondition) << text;
    EXPECT_EQ(StatusOfError(text).message(), text);
  }
  for (const char* text :
       {"ERR unknown command", "WRONGTYPE Operation against a key", "NOSCRIPT No matching script", "READONLYX", ""}) {
    EXPECT_EQ(StatusOfError(text).code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace lab::redis
