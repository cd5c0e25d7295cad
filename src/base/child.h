/* A forked child that may be lost: for libraries that outside bytes can bring down.
 *
 * The child starts with no open descriptor but its end of a pipe and may open none; it has a bound on memory and
 * processor time, writes no core file, and on Linux may make only the system calls that memory and the pipe need. The
 * parent treats what comes out of the pipe as it would treat a file from a stranger.
 *
 * Forking a process with threads: only the calling thread lives on in the child, so a lock held by another thread at
 * that moment stays held. What runs in the child must therefore use nothing but memory allocation (glibc makes that
 * safe across a fork; the sanitizers' allocators are not, so tests under them fork from one thread), plain system
 * calls, and libraries that this process uses in such children only.
 */
#ifndef MSFL_BASE_CHILD_H
#define MSFL_BASE_CHILD_H

#include "medsecurefl/status.h"

#include <sys/types.h>

typedef struct msfl_child {
    pid_t pid;
    int fd;
    uint64_t deadline_ns;
    int seconds;
} msfl_child;

/** Runs in the child; writes its answer with msfl_child_write. */
typedef void (*msfl_child_fn)(void *ctx, int out);

/** Start `fn` with `memory_bytes` beyond what this process has mapped, and `seconds` of processor and of wall time. */
msfl_status msfl_child_start(msfl_child_fn fn, void *ctx, size_t memory_bytes, uint32_t seconds,
                             msfl_child *out) MSFL_NODISCARD;

/** Exactly `length` bytes of the answer. ERR_FORMAT if the child died or ended before, ERR_LIMIT if its time is up. */
msfl_status msfl_child_read(msfl_child *child, void *bytes, size_t length) MSFL_NODISCARD;

/** Kill it if it still runs, and clear up. */
void msfl_child_end(msfl_child *child);

/** In the child: write everything or end the process. */
void msfl_child_write(int out, const void *bytes, size_t length);

#endif
