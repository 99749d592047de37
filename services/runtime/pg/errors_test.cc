#include "services/runtime/pg/errors.h"

#include <gtest/gtest.h>

namespace lab::pg {
namespace {

TEST(ErrorsTest, BySqlstate) {
  EXPECT_EQ(StatusOf("23505", "duplicate key\n", "add").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(StatusOf("23503", "no such brand", "add").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(StatusOf("25006", "read-only", "add").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(StatusOf("53100", "disk full", "add").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(StatusOf("57014", "canceling", "add").code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(StatusOf("42601", "syntax error", "add").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(StatusOf("23505", "duplicate key\n", "add").message(), "add: duplicate key (SQLSTATE 23505)");
}

TEST(ErrorsTest, WhatMayPassWhenItIsSentAgain) {
  EXPECT_EQ(FaultOf("40P01"), Fault::kConflict);
  EXPECT_EQ(FaultOf("40001"), Fault::kConflict);
  EXPECT_EQ(FaultOf("55P03"), Fault::kConflict) << "lock_timeout";
  EXPECT_EQ(FaultOf("23505"), Fault::kStatement);
  EXPECT_EQ(FaultOf("57P03"), Fault::kRefusal);
  EXPECT_EQ(FaultOf(""), Fault::kStatement);
}

}  // namespace
}  // namespace lab::pg
