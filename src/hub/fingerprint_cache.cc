#include "hub/fingerprint_cache.h"

#include <boost/json.hpp>

#include "hub/model_files.h"
#include "model/checkpoint.h"

namespace baton::hub {
namespace {

constexpr size_t kCacheBytesMax = 16 << 20;

const boost::json::value* Member(const boost::json::object& object, std::string_view key) {
  return object.if_contains(key);
}

int64_t NumberOr(const boost::json::object& object, std::string_view key) {
  const auto* value = Member(object, key);
  return value != nullptr && value->is_int64() ? value->get_int64() : -1;
}

}  // namespace

FingerprintCache::FingerprintCache(std::string path) : path_(std::move(path)) {
  const auto text =
      path_.empty() ? Result<std::string>(std::string()) : os::ReadFile(path_, kCacheBytesMax);
  if (!text.ok()) return;
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(*text, error);
  if (error || !json.is_object()) return;
  const MutexLock lock(mutex_);
  for (const auto& member : json.get_object()) {
    const auto* object = member.value().if_object();
    const auto* fingerprint = object == nullptr ? nullptr : Member(*object, "fingerprint");
    if (fingerprint == nullptr || !fingerprint->is_string()) continue;
    const os::FileStamp stamp{static_cast<uint64_t>(NumberOr(*object, "size_bytes")),
                              NumberOr(*object, "modified_ns"),
                              static_cast<uint64_t>(NumberOr(*object, "inode"))};
    entries_[std::string(member.key())] = {stamp, std::string(fingerprint->get_string())};
  }
}

Result<std::string> FingerprintCache::Get(const std::string& model_path) {
  BATON_ASSIGN_OR_RETURN(const os::FileStamp stamp, StampOfModel(model_path));
  {
    const MutexLock lock(mutex_);
    const auto at = entries_.find(model_path);
    if (at != entries_.end() && at->second.stamp == stamp) return at->second.fingerprint;
  }
  BATON_ASSIGN_OR_RETURN(const auto checkpoint, Checkpoint::Open(model_path));
  BATON_ASSIGN_OR_RETURN(std::string fingerprint, checkpoint->Fingerprint());
  std::string json;
  {
    const MutexLock lock(mutex_);
    entries_[model_path] = {stamp, fingerprint};
    json = ToJson();
  }
  if (!path_.empty()) (void)os::WriteFileAtomically(path_, AsBytes(json)).ok();
  return fingerprint;
}

std::string FingerprintCache::ToJson() const {
  boost::json::object all;
  for (const auto& [path, entry] : entries_)
    all[path] = {{"size_bytes", static_cast<int64_t>(entry.stamp.size_bytes)},
                 {"modified_ns", entry.stamp.modified_ns},
                 {"inode", static_cast<int64_t>(entry.stamp.inode)},
                 {"fingerprint", entry.fingerprint}};
  return boost::json::serialize(all);
}

}  // namespace baton::hub
