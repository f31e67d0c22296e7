/* A disk that fails on command: loaded into the server before its C library (LD_PRELOAD), it stands
 * between SQLite and the system. The file named by DISK_MODE says how the disk is:
 *
 *   works      as it is
 *   full       nothing can be written, for want of space (ENOSPC)
 *   read-only  nothing can be written (EROFS), as after the system has met an error of the disk
 *   stuck      what was written does not arrive: syncs do not return until this changes
 *
 * Only the database and its log are concerned. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* First letter of the mode, for a file of the database; `w` for every other. */
static char mode(int fd)
{
    char link[64], path[PATH_MAX], mode = 'w';
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    const char *control = getenv("DISK_MODE");
    if (length < 0 || control == NULL)
        return mode;
    path[length] = 0;
    if (strstr(path, ".sqlite") == NULL || strstr(path, "-shm") != NULL)
        return mode;
    int saved = errno, file = open(control, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        if (read(file, &mode, 1) != 1)
            mode = 'w';
        close(file);
    }
    errno = saved;
    return mode;
}

/* Whether a write fails; sets errno. */
static int refused(int fd)
{
    switch (mode(fd)) {
    case 'f':
        errno = ENOSPC;
        return 1;
    case 'r':
        errno = EROFS;
        return 1;
    default:
        return 0;
    }
}

static void wait_while_stuck(int fd)
{
    while (mode(fd) == 's')
        usleep(1000);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t count)
{
    return refused(fd) ? -1 : REAL(write)(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    return refused(fd) ? -1 : REAL(pwrite)(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
    return refused(fd) ? -1 : REAL(pwrite64)(fd, bytes, count, offset);
}

int fsync(int fd)
{
    wait_while_stuck(fd);
    return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    wait_while_stuck(fd);
    return REAL(fdatasync)(fd);
}
