#include "base/child.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0 /* sanitizers map terabytes and read /proc: no limits on those */
#endif

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__)) && !SANITIZED
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#else
#define THIS_ARCH AUDIT_ARCH_AARCH64
#endif
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Everything else answers EPERM. */
static void allow_memory_and_pipe_only(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(read),
        ALLOW(write),
        ALLOW(close),
        ALLOW(mmap),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(mprotect),
        ALLOW(madvise),
        ALLOW(brk),
        ALLOW(futex),
        ALLOW(clock_gettime),
        ALLOW(gettimeofday),
        ALLOW(getpid),
        ALLOW(gettid),
        ALLOW(tgkill),
        ALLOW(rt_sigaction),
        ALLOW(rt_sigprocmask),
        ALLOW(rt_sigreturn),
        ALLOW(restart_syscall),
        ALLOW(getrandom),
        ALLOW(exit),
        ALLOW(exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    /* A second fence: where the kernel has no filters, the limits below still hold. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) (void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
#else
static void allow_memory_and_pipe_only(void) {}
#endif

static void limit(int resource, rlim_t value) {
    struct rlimit limits;
    if (getrlimit((__rlimit_resource_t)resource, &limits) != 0) return;
    if (limits.rlim_max != RLIM_INFINITY && limits.rlim_max < value) value = limits.rlim_max;
    limits.rlim_cur = limits.rlim_max = value;
    (void)setrlimit((__rlimit_resource_t)resource, &limits);
}

/* Bytes this process has mapped; the bound on the child comes on top, since it inherits them all. */
static size_t mapped_bytes(void) {
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return (size_t)1 << 40;
    char text[64] = "";
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    size_t pages = 0;
    for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        pages = pages * 10 + (size_t)(text[i] - '0');
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void close_others(int keep) {
#if defined(SYS_close_range)
    if ((keep == 0 || syscall(SYS_close_range, 0u, (unsigned)keep - 1, 0u) == 0) &&
        syscall(SYS_close_range, (unsigned)keep + 1, ~0u, 0u) == 0) {
        return;
    }
#endif
    struct rlimit limits;
    int end = getrlimit(RLIMIT_NOFILE, &limits) == 0 && limits.rlim_cur < 65536 ? (int)limits.rlim_cur : 65536;
    for (int fd = 0; fd < end; fd++) {
        if (fd != keep) close(fd);
    }
}

_Noreturn static void run_child(msfl_child_fn fn, void *ctx, int out, size_t memory, uint32_t seconds) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTERM, SIGINT, SIGPIPE};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        (void)signal(faults[i], SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    close_others(out);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, seconds);
    limit(RLIMIT_FSIZE, 0);
    if (!SANITIZED) {
        limit(RLIMIT_AS, memory);
        limit(RLIMIT_NOFILE, 0);
    }
    allow_memory_and_pipe_only();
    fn(ctx, out);
    _exit(0);
}

msfl_status msfl_child_start(msfl_child_fn fn, void *ctx, size_t memory_bytes, uint32_t seconds, msfl_child *out) {
    *out = (msfl_child){.pid = -1, .fd = -1};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return msfl_fail_errno(errno, "a pipe could not be made");
    size_t memory = mapped_bytes() + memory_bytes;
    pid_t pid = fork();
    if (pid == 0) run_child(fn, ctx, ends[1], memory, seconds);
    int error = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return msfl_fail_errno(error, "a helper process could not be started");
    }
    *out = (msfl_child){.pid = pid,
                        .fd = ends[0],
                        .deadline_ns = msfl_now_ns() + (uint64_t)seconds * 1000000000u,
                        .seconds = (int)seconds};
    return MSFL_OK;
}

static msfl_status wait_for_bytes(const msfl_child *child) {
    for (;;) {
        uint64_t now = msfl_now_ns();
        if (now >= child->deadline_ns) {
            return msfl_fail(MSFL_ERR_LIMIT, "the helper process was not done after %d seconds", child->seconds);
        }
        struct pollfd p = {.fd = child->fd, .events = POLLIN};
        int n = poll(&p, 1, (int)((child->deadline_ns - now) / 1000000u) + 1);
        if (n > 0) return MSFL_OK;
        if (n < 0 && errno != EINTR) return msfl_fail_errno(errno, "waiting for the helper process failed");
    }
}

msfl_status msfl_child_read(msfl_child *child, void *bytes, size_t length) {
    uint8_t *at = bytes;
    while (length > 0) {
        msfl_status status = wait_for_bytes(child);
        if (status != MSFL_OK) return status;
        ssize_t n = read(child->fd, at, length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return msfl_fail_errno(errno, "reading from the helper process failed");
        if (n == 0) return msfl_fail(MSFL_ERR_FORMAT, "the helper process ended without a complete answer");
        at += n;
        length -= (size_t)n;
    }
    return MSFL_OK;
}

void msfl_child_end(msfl_child *child) {
    if (child->fd >= 0) close(child->fd);
    if (child->pid > 0) {
        (void)kill(child->pid, SIGKILL);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    *child = (msfl_child){.pid = -1, .fd = -1};
}

void msfl_child_write(int out, const void *bytes, size_t length) {
    const uint8_t *at = bytes;
    while (length > 0) {
        ssize_t n = write(out, at, length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(1);
        at += n;
        length -= (size_t)n;
    }
}
