#include "services/runtime/redis/owned_reply.h"

namespace lab::redis {

OwnedReply::OwnedReply(const redisReply* reply) : root_(Copy(reply)) {}

redisReply* OwnedReply::Copy(const redisReply* reply) {
  redisReply* node = &nodes_.emplace_back();
  node->type = reply->type;
  node->integer = reply->integer;
  if (reply->str != nullptr) {
    std::string& text = texts_.emplace_back(reply->str, reply->len);
    node->str = text.data();
    node->len = reply->len;
  }
  if (reply->type == REDIS_REPLY_ARRAY) {
    std::vector<redisReply*>& elements = arrays_.emplace_back();
    elements.reserve(reply->elements);
    for (size_t i = 0; i < reply->elements; ++i) elements.push_back(Copy(reply->element[i]));
    node->elements = reply->elements;
    node->element = elements.data();
  }
  return node;
}

}  // namespace lab::redis
