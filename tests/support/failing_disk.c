/* A disk that fails while a file says so. Loaded with LD_PRELOAD.
   FAILING_DISK_UNDER: only files whose path begins so. FAILING_DISK_FILE: holds the errno to fail with; no file: well.
   Writing, making longer and syncing fail; reading does not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(int fd) {
  const char *under = getenv("FAILING_DISK_UNDER"), *file = getenv("FAILING_DISK_FILE");
  char link[64], path[4096], text[16];
  if (!under || !file) return 0;
  static int (*real_open)(const char *, int, ...);
  if (!real_open) real_open = dlsym(RTLD_NEXT, "open");
  int flag = real_open(file, O_RDONLY | O_CLOEXEC);
  if (flag < 0) return 0;
  ssize_t size = read(flag, text, sizeof text - 1);
  close(flag);
  if (size <= 0) return 0;
  text[size] = 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  size = readlink(link, path, sizeof path - 1);
  if (size <= 0) return 0;
  path[size] = 0;
  return strncmp(path, under, strlen(under)) == 0 ? atoi(text) : 0;
}

#define FAIL_OR_DO(name, type, args, call)          \
  {                                                 \
    static type(*real) args;                        \
    if (!real) real = dlsym(RTLD_NEXT, name);       \
    int saved = errno, code = fails(fd);            \
    errno = saved;                                  \
    if (code) {                                     \
      errno = code;                                 \
      return -1;                                    \
    }                                               \
    return real call;                               \
  }

ssize_t write(int fd, const void *data, size_t size)
    FAIL_OR_DO("write", ssize_t, (int, const void *, size_t), (fd, data, size))
ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
    FAIL_OR_DO("pwrite", ssize_t, (int, const void *, size_t, off_t), (fd, data, size, at))
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
    FAIL_OR_DO("pwrite64", ssize_t, (int, const void *, size_t, off64_t), (fd, data, size, at))
int ftruncate(int fd, off_t size) FAIL_OR_DO("ftruncate", int, (int, off_t), (fd, size))
int ftruncate64(int fd, off64_t size) FAIL_OR_DO("ftruncate64", int, (int, off64_t), (fd, size))
int fsync(int fd) FAIL_OR_DO("fsync", int, (int), (fd))
int fdatasync(int fd) FAIL_OR_DO("fdatasync", int, (int), (fd))
