#include "bench/explore/matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/explore/race.h"
#include "services/runtime/base/text.h"

namespace lab::bench::explore {
namespace {

using ::testing::HasSubstr;

std::string RowText() {
  std::string text = "modes:\n  plain:\n";
  for (const Race& race : Races()) {
    text += Concat("    ", race.number,
                   race.number == 1    ? ": open, nothing stops it\n"
                   : race.number == 12 ? ": untried, no cast makes a brand\n"
                                       : ": closed, it cannot be\n");
  }
  return text;
}

TEST(MatrixTest, ReadsCells) {
  const absl::StatusOr<Matrix> matrix = ParseMatrix(RowText(), "m.yaml");
  ASSERT_TRUE(matrix.ok()) << matrix.status();
  EXPECT_TRUE(matrix->at("plain").at(1).open);
  EXPECT_EQ(matrix->at("plain").at(1).because, "nothing stops it");
  EXPECT_FALSE(matrix->at("plain").at(2).open);
  EXPECT_TRUE(matrix->at("plain").at(2).tried);
  EXPECT_FALSE(matrix->at("plain").at(12).tried);
}

TEST(MatrixTest, TellsAllErrors) {
  const absl::Status status = ParseMatrix("modes:\n  plain:\n    1: maybe\n    77: open, x\n", "m.yaml").status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("m.yaml:3: modes.plain.1: a cell is"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"77\" is no race"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("has no cell for race 2"));
}

TEST(MatrixTest, TheCommittedOneIsWhole) {
  const absl::StatusOr<Matrix> matrix = LoadMatrix(LAB_SOURCE_DIR "/labs/cache-consistency/matrix.yaml");
  ASSERT_TRUE(matrix.ok()) << matrix.status();
  EXPECT_GE(matrix->size(), 14u);
}

}  // namespace
}  // namespace lab::bench::explore
