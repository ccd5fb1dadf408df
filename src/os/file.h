// Files: the only door to the disk. Names reach this module already checked; it adds no policy.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace baton::os {

// What identifies a version of a file cheaply.
struct FileStamp {
  uint64_t size_bytes = 0;
  int64_t modified_ns = 0;
  uint64_t inode = 0;
  bool operator==(const FileStamp&) const = default;
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
  FileStamp stamp;
};

// A read-only mapping of a whole file. Move-only; unmapped at the end. A file that shrinks while it
// is mapped raises SIGBUS on access: ReadAt() does not, use it for what must survive that.
class MappedFile {
 public:
  static Result<MappedFile> Open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  // Copies bytes [offset, offset + into.size()) through the file descriptor.
  Status ReadAt(uint64_t offset, std::span<uint8_t> into) const;
  // A hint, without effect on correctness: will be read soon.
  void WillNeed(uint64_t offset, uint64_t length) const;

 private:
  MappedFile(std::string path, int fd, const uint8_t* data, size_t size);
  std::string path_;
  int fd_ = -1;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

Result<std::string> ReadFile(const std::string& path, size_t size_max_bytes = 64 << 20);
// Writes beside `path`, flushes to disk, renames: readers see the old or the new file, whole.
// `mode` is the permission of a new file, e.g. 0600 for keys.
Status WriteFileAtomically(const std::string& path, std::span<const uint8_t> bytes,
                           uint32_t mode = 0644);
Result<FileStamp> StampOf(const std::string& path);
bool Exists(const std::string& path);
bool IsDirectory(const std::string& path);
Status MakeDirectories(const std::string& path, uint32_t mode = 0755);
Result<std::vector<DirectoryEntry>> ListDirectory(const std::string& path);
Status RemoveFile(const std::string& path);
// The target of a symbolic link or, where it is none, the path itself; absolute and normal.
Result<std::string> RealPath(const std::string& path);

// A file being written front to back, e.g. a synthetic model of many gigabytes.
class FileWriter {
 public:
  static Result<FileWriter> Create(const std::string& path);
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&&) = delete;
  ~FileWriter();
  Status Append(std::span<const uint8_t> bytes);
  Status Close();
  uint64_t position() const { return position_; }

 private:
  explicit FileWriter(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_ = -1;
  uint64_t position_ = 0;
};

}  // namespace baton::os
