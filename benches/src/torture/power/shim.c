/* Stands between a process and the system, and writes down what the process does to the files below
 * one folder: DOPPEL_POWER_ROOT, in the journal DOPPEL_POWER_JOURNAL. What would be left of them after
 * a power cut is worked out of that by journal.rs. While there is a file DOPPEL_POWER_FULL, writes
 * below the folder fail as on a full disk, or on a read-only one if it begins with an r, or only those
 * to the tables if it begins with a t.
 *
 * A record: kind (1 byte), file descriptor (4), number (8), length (4), so many bytes; little-endian.
 * It is written after what it tells of has succeeded, but for the beginning of a sync. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, WRITE, RESIZE, RENAME, UNLINK, MAKE_DIR, SYNC_BEGIN, SYNC_END, DUPLICATE };

#define FDS 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Of a descriptor: 0 if it is of no file below the folder. */
enum { TABLES = 2 };
static unsigned char tracked[FDS];
static int journal = -1;
static uint64_t syncs;
static const char *root, *full;

#define REAL(type, name, ...)                                                                      \
    static type (*real)(__VA_ARGS__);                                                              \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static int real_open(const char *path, int flags, mode_t mode) {
    REAL(int, open64, const char *, int, ...);
    return real(path, flags, mode);
}

static ssize_t real_write(int fd, const void *bytes, size_t len) {
    REAL(ssize_t, write, int, const void *, size_t);
    return real(fd, bytes, len);
}

__attribute__((constructor)) static void begin(void) {
    root = getenv("DOPPEL_POWER_ROOT");
    full = getenv("DOPPEL_POWER_FULL");
    const char *path = getenv("DOPPEL_POWER_JOURNAL");
    if (root && path) journal = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int below(const char *path) {
    size_t len = root ? strlen(root) : 0;
    return journal >= 0 && len && !strncmp(path, root, len) && (!path[len] || path[len] == '/');
}

static int is_tracked(int fd) { return fd >= 0 && fd < FDS && tracked[fd]; }

static void note(uint8_t kind, int32_t fd, uint64_t number, const void *bytes, uint32_t len) {
    uint8_t head[17];
    head[0] = kind;
    memcpy(head + 1, &fd, 4);
    memcpy(head + 5, &number, 8);
    memcpy(head + 13, &len, 4);
    char *record = malloc(sizeof head + len);
    if (!record) abort();
    memcpy(record, head, sizeof head);
    memcpy(record + sizeof head, bytes, len);
    if (real_write(journal, record, sizeof head + len) != (ssize_t)(sizeof head + len)) abort();
    free(record);
}

/* The absolute path that `path` below the open folder `dir` stands for. */
static int resolve(int dir, const char *path, char *out) {
    char base[PATH_MAX] = "", link[64];
    if (path[0] == '/') return snprintf(out, PATH_MAX, "%s", path) < PATH_MAX;
    if (dir == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        ssize_t got = readlink(link, base, sizeof base - 1);
        if (got < 0) return 0;
        base[got] = 0;
    }
    return snprintf(out, PATH_MAX, "%s/%s", base, path) < PATH_MAX;
}

static int no_room(int fd) {
    if (!is_tracked(fd) || !full || access(full, F_OK)) return 0;
    char how = 0;
    int file = real_open(full, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0 || pread(file, &how, 1, 0) != 1) how = 'f';
    if (file >= 0) close(file);
    if (how == 't' && tracked[fd] != TABLES) return 0;
    errno = how == 'r' ? EROFS : ENOSPC;
    return 1;
}

static int opened(int fd, int dir, const char *path, int flags) {
    char whole[PATH_MAX];
    if (fd < 0 || fd >= FDS) return fd;
    int saved = errno;
    /* A file without a name is no part of what is left. */
    int named = (flags & O_TMPFILE) != O_TMPFILE && resolve(dir, path, whole) && below(whole);
    tracked[fd] = (unsigned char)(named && strstr(whole, "/tables/") ? TABLES : named);
    if (named) note(OPEN, fd, (uint64_t)flags, whole, (uint32_t)strlen(whole));
    errno = saved;
    return fd;
}

#define OPENING(name)                                                                              \
    int name(const char *path, int flags, ...) {                                                   \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode_t mode = va_arg(more, mode_t);                                                        \
        va_end(more);                                                                              \
        pthread_mutex_lock(&lock);                                                                 \
        int fd = opened(real_open(path, flags, mode), AT_FDCWD, path, flags);                      \
        pthread_mutex_unlock(&lock);                                                               \
        return fd;                                                                                 \
    }
OPENING(open)
OPENING(open64)

#define OPENING_AT(name)                                                                           \
    int name(int dir, const char *path, int flags, ...) {                                          \
        REAL(int, name, int, const char *, int, ...);                                              \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode_t mode = va_arg(more, mode_t);                                                        \
        va_end(more);                                                                              \
        pthread_mutex_lock(&lock);                                                                 \
        int fd = opened(real(dir, path, flags, mode), dir, path, flags);                           \
        pthread_mutex_unlock(&lock);                                                               \
        return fd;                                                                                 \
    }
OPENING_AT(openat)
OPENING_AT(openat64)

#define WRITING_AT(name)                                                                           \
    ssize_t name(int fd, const void *bytes, size_t len, off64_t at) {                              \
        REAL(ssize_t, name, int, const void *, size_t, off64_t);                                   \
        if (!is_tracked(fd)) return real(fd, bytes, len, at);                                      \
        if (no_room(fd)) return -1;                                                                \
        pthread_mutex_lock(&lock);                                                                 \
        ssize_t done = real(fd, bytes, len, at);                                                   \
        if (done > 0) note(WRITE, fd, (uint64_t)at, bytes, (uint32_t)done);                        \
        pthread_mutex_unlock(&lock);                                                               \
        return done;                                                                               \
    }
WRITING_AT(pwrite)
WRITING_AT(pwrite64)

ssize_t write(int fd, const void *bytes, size_t len) {
    if (!is_tracked(fd)) return real_write(fd, bytes, len);
    if (no_room(fd)) return -1;
    pthread_mutex_lock(&lock);
    ssize_t done = real_write(fd, bytes, len);
    if (done > 0) {
        /* Where it went, also in a file that is only added to. */
        off64_t end = lseek64(fd, 0, SEEK_CUR);
        note(WRITE, fd, (uint64_t)(end - done), bytes, (uint32_t)done);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    if (!is_tracked(fd)) return real(fd, parts, count);
    /* Fewer bytes than were asked for are always allowed. */
    return count > 0 ? write(fd, parts[0].iov_base, parts[0].iov_len) : 0;
}

#define RESIZING(name)                                                                             \
    int name(int fd, off64_t len) {                                                                \
        REAL(int, name, int, off64_t);                                                             \
        if (!is_tracked(fd)) return real(fd, len);                                                 \
        if (no_room(fd)) return -1;                                                                \
        pthread_mutex_lock(&lock);                                                                 \
        int done = real(fd, len);                                                                  \
        if (!done) note(RESIZE, fd, (uint64_t)len, "", 0);                                         \
        pthread_mutex_unlock(&lock);                                                               \
        return done;                                                                               \
    }
RESIZING(ftruncate)
RESIZING(ftruncate64)

/* What is written while a sync runs need not be a part of it. */
#define SYNCING(name)                                                                              \
    int name(int fd) {                                                                             \
        REAL(int, name, int);                                                                      \
        if (!is_tracked(fd)) return real(fd);                                                      \
        pthread_mutex_lock(&lock);                                                                 \
        uint64_t sync = ++syncs;                                                                   \
        note(SYNC_BEGIN, fd, sync, "", 0);                                                         \
        pthread_mutex_unlock(&lock);                                                               \
        int done = real(fd);                                                                       \
        pthread_mutex_lock(&lock);                                                                 \
        if (!done) note(SYNC_END, fd, sync, "", 0);                                                \
        pthread_mutex_unlock(&lock);                                                               \
        return done;                                                                               \
    }
SYNCING(fsync)
SYNCING(fdatasync)

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    char a[PATH_MAX], b[PATH_MAX];
    int known = resolve(AT_FDCWD, from, a) && resolve(AT_FDCWD, to, b) && below(a) && below(b);
    pthread_mutex_lock(&lock);
    int done = real(from, to);
    if (!done && known) {
        char both[2 * PATH_MAX];
        int len = snprintf(both, sizeof both, "%s%c%s", a, 0, b);
        note(RENAME, -1, 0, both, (uint32_t)len);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

static void gone(int done, int dir, const char *path) {
    char whole[PATH_MAX];
    if (!done && resolve(dir, path, whole) && below(whole))
        note(UNLINK, -1, 0, whole, (uint32_t)strlen(whole));
}

#define REMOVING(name)                                                                             \
    int name(const char *path) {                                                                   \
        REAL(int, name, const char *);                                                             \
        pthread_mutex_lock(&lock);                                                                 \
        int done = real(path);                                                                     \
        gone(done, AT_FDCWD, path);                                                                \
        pthread_mutex_unlock(&lock);                                                               \
        return done;                                                                               \
    }
REMOVING(unlink)
REMOVING(rmdir)

int unlinkat(int dir, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    pthread_mutex_lock(&lock);
    int done = real(dir, path, flags);
    gone(done, dir, path);
    pthread_mutex_unlock(&lock);
    return done;
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    char whole[PATH_MAX];
    pthread_mutex_lock(&lock);
    int done = real(path, mode);
    if (!done && resolve(AT_FDCWD, path, whole) && below(whole))
        note(MAKE_DIR, -1, 0, whole, (uint32_t)strlen(whole));
    pthread_mutex_unlock(&lock);
    return done;
}

int close(int fd) {
    REAL(int, close, int);
    if (!is_tracked(fd)) return real(fd);
    pthread_mutex_lock(&lock);
    tracked[fd] = 0;
    int done = real(fd);
    pthread_mutex_unlock(&lock);
    return done;
}

#define CONTROLLING(name)                                                                          \
    int name(int fd, int what, ...) {                                                              \
        REAL(int, name, int, int, ...);                                                            \
        va_list more;                                                                              \
        va_start(more, what);                                                                      \
        void *value = va_arg(more, void *);                                                        \
        va_end(more);                                                                              \
        if ((what != F_DUPFD && what != F_DUPFD_CLOEXEC) || !is_tracked(fd))                       \
            return real(fd, what, value);                                                          \
        pthread_mutex_lock(&lock);                                                                 \
        int copy = real(fd, what, value);                                                          \
        if (copy >= 0 && copy < FDS) {                                                             \
            tracked[copy] = 1;                                                                     \
            note(DUPLICATE, copy, (uint64_t)fd, "", 0);                                            \
        }                                                                                          \
        pthread_mutex_unlock(&lock);                                                               \
        return copy;                                                                               \
    }
CONTROLLING(fcntl)
CONTROLLING(fcntl64)
