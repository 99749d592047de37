#include "services/runtime/pg/array_text.h"

#include <gtest/gtest.h>

namespace lab::pg {
namespace {

TEST(ArrayTextTest, QuotesWhatNeedsIt) {
  ArrayText array;
  EXPECT_EQ(array.text(), "{}");
  array.Add(int64_t{-7});
  array.Add("a b");
  array.Add("say \"no\", \\ {}");
  array.AddNull();
  array.Add("NULL");
  EXPECT_EQ(array.text(), R"({-7,"a b","say \"no\", \\ {}",NULL,"NULL"})");
  EXPECT_EQ(array.size(), 5u);
}

TEST(ArrayTextTest, GoesOnAfterItWasRead) {
  ArrayText array;
  array.Add(int64_t{1});
  EXPECT_EQ(array.text(), "{1}");
  array.Add(int64_t{2});
  EXPECT_EQ(array.text(), "{1,2}");
  array.Clear();
  EXPECT_EQ(array.text(), "{}");
  array.Add("x");
  EXPECT_EQ(array.text(), "{\"x\"}");
}

}  // namespace
}  // namespace lab::pg
