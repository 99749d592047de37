#include "services/cacheapi/local/local_cache.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace lab::cacheapi {

namespace {

uint64_t HashOf(std::string_view key) { return std::hash<std::string_view>()(key); }

}  // namespace

LocalCache::LocalCache(const Options& options)
    : options_(options),
      fences_(options.generations),
      eviction_(eviction::MakeEviction(options.eviction, std::max<size_t>(1, options.bytes))) {}

size_t LocalCache::Bytes(std::string_view key, std::string_view body) {
  return key.size() + body.size() + kEntryOverhead;
}

LocalCache::Entry* LocalCache::Find(std::string_view key, uint64_t hash) const {
  const auto found = index_.find(Probe{key, hash});
  return found == index_.end() ? nullptr : *found;
}

const Value* LocalCache::Get(std::string_view key, Clock::time_point now) {
  Entry* entry = Find(key, HashOf(key));
  if (entry == nullptr) return nullptr;
  if (now >= entry->value.expiry) {
    Remove(*entry);
    return nullptr;
  }
  eviction_->Use(*entry);
  return &entry->value;
}

FillToken LocalCache::Begin(std::string_view key) const {
  const uint64_t hash = HashOf(key);
  return {std::string(key), hash, fences_.Generation(hash)};
}

LocalCache::Entry& LocalCache::Add(const FillToken& token, size_t bytes) {
  if (free_.empty()) free_.push_back(&entries_.emplace_back());
  Entry& entry = *free_.back();
  free_.pop_back();
  entry.key = token.key;
  entry.hash = token.hash;
  entry.weight = bytes;
  index_.insert(&entry);
  eviction_->Add(entry);
  return entry;
}

void LocalCache::Drop(Entry& entry) {
  index_.erase(&entry);
  entry = Entry{};  // gives its memory back
  free_.push_back(&entry);
}

void LocalCache::Remove(Entry& entry) {
  eviction_->Remove(entry);
  Drop(entry);
}

bool LocalCache::MakeRoom(const Entry& kept) {
  bool still_there = true;
  while (eviction_->weight() > options_.bytes) {
    auto& victim = static_cast<Entry&>(eviction_->Evict());
    still_there = still_there && &victim != &kept;
    ++evictions_;
    Drop(victim);
  }
  return still_there;
}

LocalCache::Stored LocalCache::Store(const FillToken& token, Value value, Clock::time_point now) {
  if (options_.fenced && fences_.Generation(token.hash) != token.generation) return Stored::kFenced;
  if (now >= value.expiry) return Stored::kExpired;
  Entry* entry = Find(token.key, token.hash);
  // What has expired counts as absent, as Get would have it.
  const bool present = entry != nullptr && now < entry->value.expiry;
  if (present && value.version < entry->value.version) return Stored::kOlder;
  const size_t bytes = Bytes(token.key, value.body);
  if (bytes > options_.bytes) {
    if (entry != nullptr) Remove(*entry);  // what it would have replaced is out of date
    return Stored::kTooLarge;
  }
  if (entry != nullptr) {
    const size_t before = std::exchange(entry->weight, bytes);
    eviction_->Reweigh(*entry, before);
  } else {
    entry = &Add(token, bytes);
  }
  entry->value = std::move(value);
  entry->value.body.shrink_to_fit();  // room to grow would not be counted
  return MakeRoom(*entry) ? Stored::kStored : Stored::kNotAdmitted;
}

bool LocalCache::Invalidate(std::string_view key, uint64_t version) {
  const uint64_t hash = HashOf(key);
  fences_.Advance(hash);
  Entry* entry = Find(key, hash);
  if (entry == nullptr || entry->value.version > version) return false;
  Remove(*entry);
  return true;
}

void LocalCache::Clear() {
  fences_.AdvanceAll();
  for (Entry* entry : index_) eviction_->Remove(*entry);
  index_.clear();
  free_.clear();
  entries_.clear();
}

}  // namespace lab::cacheapi
