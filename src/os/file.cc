#include "os/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace baton::os {
namespace {

Error FromErrno(std::string_view what, const std::string& path) {
  const int number = errno;
  const Code code = number == ENOENT                      ? Code::kNotFound
                    : number == EACCES || number == EPERM ? Code::kPermissionDenied
                    : number == ENOSPC                    ? Code::kResourceExhausted
                                                          : Code::kInternal;
  return MakeError(code, "cannot {} '{}': {}", what, path, std::strerror(number));
}

FileStamp ToStamp(const struct stat& info) {
  return {.size_bytes = static_cast<uint64_t>(info.st_size),
          .modified_ns = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec,
          .inode = info.st_ino};
}

Status WriteAll(int fd, std::span<const uint8_t> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FromErrno("write", path);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return OkStatus();
}

}  // namespace

MappedFile::MappedFile(std::string path, int fd, const uint8_t* data, size_t size)
    : path_(std::move(path)), fd_(fd), data_(data), size_(size) {}

MappedFile::MappedFile(MappedFile&& other) noexcept {
  *this = std::move(other);
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), size_);
  if (fd_ >= 0) ::close(fd_);
}

Result<MappedFile> MappedFile::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FromErrno("open", path);
  MappedFile file(path, fd, nullptr, 0);
  struct stat info;
  if (::fstat(fd, &info) != 0) return FromErrno("stat", path);
  if (!S_ISREG(info.st_mode))
    return MakeError(Code::kInvalidArgument, "'{}' is not a regular file", path);
  if (info.st_size == 0) return file;
  const auto size = static_cast<size_t>(info.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return FromErrno("map", path);
  file.data_ = static_cast<const uint8_t*>(data);
  file.size_ = size;
  return file;
}

Status MappedFile::ReadAt(uint64_t offset, std::span<uint8_t> into) const {
  while (!into.empty()) {
    const ssize_t count = ::pread(fd_, into.data(), into.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FromErrno("read", path_);
    if (count == 0)
      return MakeError(Code::kDataLoss, "'{}' ends before byte {}", path_, offset + into.size());
    offset += static_cast<uint64_t>(count);
    into = into.subspan(static_cast<size_t>(count));
  }
  return OkStatus();
}

void MappedFile::WillNeed(uint64_t offset, uint64_t length) const {
  ::posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(length), POSIX_FADV_WILLNEED);
}

Result<std::string> ReadFile(const std::string& path, size_t size_max_bytes) {
  BATON_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const size_t size = file.bytes().size();
  if (size > size_max_bytes)
    return MakeError(Code::kInvalidArgument, "'{}' has {} bytes, more than {}", path, size,
                     size_max_bytes);
  std::string text(size, '\0');
  BATON_RETURN_IF_ERROR(file.ReadAt(0, {reinterpret_cast<uint8_t*>(text.data()), size}));
  return text;
}

Status WriteFileAtomically(const std::string& path, std::span<const uint8_t> bytes, uint32_t mode) {
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return FromErrno("create a file beside", path);
  Status status = WriteAll(fd, bytes, temporary);
  if (status.ok() && (::fchmod(fd, mode) != 0 || ::fsync(fd) != 0))
    status = FromErrno("flush", temporary);
  ::close(fd);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0)
    status = FromErrno("rename into place", path);
  if (!status.ok()) ::unlink(temporary.c_str());
  return status;
}

Result<FileStamp> StampOf(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return FromErrno("stat", path);
  return ToStamp(info);
}

bool Exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

bool IsDirectory(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Status MakeDirectories(const std::string& path, uint32_t mode) {
  for (size_t at = 1; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    const std::string prefix = path.substr(0, at);
    if (::mkdir(prefix.c_str(), mode) != 0 && errno != EEXIST)
      return FromErrno("create directory", prefix);
  }
  return OkStatus();
}

Result<std::vector<DirectoryEntry>> ListDirectory(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return FromErrno("list", path);
  std::vector<DirectoryEntry> entries;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat info;
    if (::stat((path + "/" + name).c_str(), &info) != 0) continue;  // gone, or a dangling link
    entries.push_back({name, S_ISDIR(info.st_mode), ToStamp(info)});
  }
  ::closedir(directory);
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

Status RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return FromErrno("remove", path);
  return OkStatus();
}

Result<std::string> RealPath(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return FromErrno("resolve", path);
  std::string text = resolved;
  std::free(resolved);
  return text;
}

Result<FileWriter> FileWriter::Create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return FromErrno("create", path);
  return FileWriter(path, fd);
}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : path_(std::move(other.path_)), fd_(other.fd_), position_(other.position_) {
  other.fd_ = -1;
}

FileWriter::~FileWriter() {
  if (fd_ >= 0) ::close(fd_);
}

Status FileWriter::Append(std::span<const uint8_t> bytes) {
  BATON_RETURN_IF_ERROR(WriteAll(fd_, bytes, path_));
  position_ += bytes.size();
  return OkStatus();
}

Status FileWriter::Close() {
  const int fd = std::exchange(fd_, -1);
  if (::close(fd) != 0) return FromErrno("close", path_);
  return OkStatus();
}

}  // namespace baton::os
