/* A modelled power cut. Loaded with LD_PRELOAD.
   POWER_CUT_UNDER: only files whose path begins so. POWER_CUT_FILE: once it is there, its number seeds the cut.

   Every change of such a file since its last sync is remembered, with what stood there before. The cut comes at one of
   the next changes or syncs: each unsynced change is then undone, kept, or kept up to some sector, as a disk may do
   that was promised nothing, and the process ends at once. A sync only forgets: what is kept needs no real disk.
   What folders hold (files made or removed) counts as kept. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define SECTOR 512
#define ENDED_BY_A_CUT 86
#define NEAR_CHANGES 60
#define IDLE_ROUNDS 1000

struct change {
  int file;
  int shortens;
  off_t at, size, was_long;
  size_t had;
  char *before, *after;
};

struct file {
  dev_t device;
  ino_t number;
  int fd;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct change *changes;
static size_t count, room;
static struct file files[256];
static int known;
static int armed, left;
static unsigned seed;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

static void find_real(void) {
  if (real_fdatasync) return;
  real_write = dlsym(RTLD_NEXT, "write");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
}

/* Its place in files, or -1. Our own descriptor is never closed: closing one would give up the process's locks. */
static int file_of(int fd) {
  const char *under = getenv("POWER_CUT_UNDER");
  char link[64], path[4096];
  struct stat found;
  if (!under || !getenv("POWER_CUT_FILE")) return -1;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size <= 0) return -1;
  path[size] = 0;
  if (strncmp(path, under, strlen(under)) != 0 || fstat(fd, &found) != 0) return -1;
  for (int i = 0; i < known; i++)
    if (files[i].device == found.st_dev && files[i].number == found.st_ino) return i;
  if (known == 256) abort();
  int own = open(link, O_RDWR | O_CLOEXEC);
  if (own < 0) return -1;
  files[known] = (struct file){found.st_dev, found.st_ino, own};
  return known++;
}

static void put(int fd, const char *data, size_t size, off_t at) {
  for (ssize_t done; size > 0; data += done, at += done, size -= (size_t)done)
    if ((done = real_pwrite(fd, data, size, at)) <= 0) abort();
}

static void cut(void) {
  size_t lost = 0;
  for (size_t i = count; i-- > 0;) {
    struct change *each = &changes[i];
    int fd = files[each->file].fd;
    if (real_ftruncate(fd, each->was_long)) abort();
    put(fd, each->before, each->had, each->at);
  }
  int keep = (int)(rand_r(&seed) % 4) * 25; /* of a hundred */
  for (size_t i = 0; i < count; i++) {
    struct change *each = &changes[i];
    int fd = files[each->file].fd;
    if ((int)(rand_r(&seed) % 100) >= keep) {
      lost++;
    } else if (each->shortens) {
      if (real_ftruncate(fd, each->at)) abort();
    } else {
      size_t size = (size_t)each->size, sectors = size / SECTOR;
      if (sectors && rand_r(&seed) % 4 == 0) size = rand_r(&seed) % (sectors + 1) * SECTOR;
      lost += size < (size_t)each->size;
      put(fd, each->after, size, each->at);
    }
  }
  char said[64];
  int size = snprintf(said, sizeof said, "\npower cut: %zu of %zu unsynced lost\n", lost, count);
  real_write(2, said, (size_t)size);
  _exit(ENDED_BY_A_CUT);
}

/* Called with the lock held, before a change or a sync. */
static void may_cut(void) {
  if (armed && left-- <= 0) cut();
}

static void remember(int file, int shortens, const char *data, size_t size, off_t at) {
  struct stat found;
  if (fstat(files[file].fd, &found) != 0) abort();
  if (count == room) changes = realloc(changes, sizeof *changes * (room = room ? room * 2 : 1024));
  off_t until = shortens ? found.st_size : at + (off_t)size;
  if (until > found.st_size) until = found.st_size;
  struct change each = {file, shortens, at, (off_t)size, found.st_size, until > at ? (size_t)(until - at) : 0, 0, 0};
  each.before = malloc(each.had + 1);
  each.after = malloc(size + 1);
  if (!changes || !each.before || !each.after) abort();
  if (pread(files[file].fd, each.before, each.had, at) != (ssize_t)each.had) abort();
  if (size) memcpy(each.after, data, size);
  changes[count++] = each;
}

static void forget(int file) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    if (changes[i].file == file) {
      free(changes[i].before);
      free(changes[i].after);
    } else {
      changes[kept++] = changes[i];
    }
  }
  count = kept;
}

static ssize_t change_at(int fd, const void *data, size_t size, off_t at) {
  find_real();
  int saved = errno;
  pthread_mutex_lock(&lock);
  int file = file_of(fd);
  if (file >= 0) {
    may_cut();
    remember(file, 0, data, size, at);
  }
  errno = saved;
  ssize_t done = real_pwrite(fd, data, size, at);
  pthread_mutex_unlock(&lock);
  return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return change_at(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return change_at(fd, data, size, at); }

ssize_t write(int fd, const void *data, size_t size) {
  find_real();
  int saved = errno;
  pthread_mutex_lock(&lock);
  int file = file_of(fd);
  if (file >= 0) {
    struct stat found;
    off_t at = lseek(fd, 0, SEEK_CUR);
    if (fcntl(fd, F_GETFL) & O_APPEND && fstat(fd, &found) == 0) at = found.st_size;
    may_cut();
    remember(file, 0, data, size, at);
  }
  pthread_mutex_unlock(&lock); /* a pipe may keep us waiting */
  errno = saved;
  return real_write(fd, data, size);
}

static int shorten(int fd, off_t size) {
  find_real();
  int saved = errno;
  pthread_mutex_lock(&lock);
  int file = file_of(fd);
  if (file >= 0) {
    may_cut();
    remember(file, 1, "", 0, size);
  }
  errno = saved;
  int done = real_ftruncate(fd, size);
  pthread_mutex_unlock(&lock);
  return done;
}

int ftruncate(int fd, off_t size) { return shorten(fd, size); }
int ftruncate64(int fd, off64_t size) { return shorten(fd, size); }

static int sync_file(int fd, int (*real)(int)) {
  int saved = errno;
  pthread_mutex_lock(&lock);
  int file = file_of(fd);
  if (file >= 0) {
    may_cut();
    forget(file);
  }
  pthread_mutex_unlock(&lock);
  errno = saved;
  return file >= 0 ? 0 : real(fd);
}

int fsync(int fd) {
  find_real();
  return sync_file(fd, real_fsync);
}

int fdatasync(int fd) {
  find_real();
  return sync_file(fd, real_fdatasync);
}

static void *watch(void *file) {
  char text[32] = "";
  int fd;
  while ((fd = open(file, O_RDONLY | O_CLOEXEC)) < 0) usleep(1000);
  if (read(fd, text, sizeof text - 1) < 0) abort();
  pthread_mutex_lock(&lock);
  seed = (unsigned)atoi(text);
  left = (int)(rand_r(&seed) % NEAR_CHANGES);
  armed = 1;
  pthread_mutex_unlock(&lock);
  for (int i = 0; i < IDLE_ROUNDS; i++) usleep(1000);
  pthread_mutex_lock(&lock); /* nobody writes: it is cut all the same */
  cut();
  return NULL;
}

__attribute__((constructor)) static void begin(void) {
  pthread_t thread;
  char *file = getenv("POWER_CUT_FILE");
  find_real();
  if (file && pthread_create(&thread, NULL, watch, file) == 0) pthread_detach(thread);
}
