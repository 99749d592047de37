#pragma once

#include <hiredis/hiredis.h>

#include <deque>
#include <string>
#include <vector>

namespace lab::redis {

// A copy of a reply, for as long as the copy lives: hiredis frees its own when the callback returns. Made field by
// field because the struct differs between hiredis 0.14 and 1.x. Private to this folder.
class OwnedReply {
 public:
  explicit OwnedReply(const redisReply* reply);
  OwnedReply(const OwnedReply&) = delete;
  OwnedReply& operator=(const OwnedReply&) = delete;
  const redisReply* get() const { return root_; }

 private:
  redisReply* Copy(const redisReply* reply);

  std::deque<redisReply> nodes_;  // these three keep what root_ points into, at fixed addresses
  std::deque<std::string> texts_;
  std::deque<std::vector<redisReply*>> arrays_;
  const redisReply* root_;
};

}  // namespace lab::redis
