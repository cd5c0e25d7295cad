#include "client/sandbox.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/observe.h"
#include "client/landlock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/socket.h>
#define HAS_FILTER 1
#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#else
#define THIS_ARCH AUDIT_ARCH_AARCH64
#endif
#endif

/* --- in the child, between fork and exec: plain system calls and nothing else --- */

static void limit(int resource, uint64_t value) {
    struct rlimit limits;
    if (getrlimit((__rlimit_resource_t)resource, &limits) != 0) return;
    if (limits.rlim_max != RLIM_INFINITY && limits.rlim_max < value) value = limits.rlim_max;
    limits.rlim_cur = limits.rlim_max = value;
    (void)setrlimit((__rlimit_resource_t)resource, &limits);
}

#if defined(HAS_FILTER)
/* Sockets of other families than AF_UNIX answer EACCES, as does io_uring, which could open them past this filter. Calls
 * of another architecture (32-bit ones, x32) end the process: their numbers mean something else. */
static bool refuse_sockets(void) {
    enum { X32_BIT = 0x40000000 };
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
#else
static bool refuse_sockets(void) {
    return false;
}
#endif

static bool write_all(const char *path, const char *text, size_t length) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    const bool fine = fd >= 0 && write(fd, text, length) == (ssize_t)length;
    if (fd >= 0) close(fd);
    return fine;
}

/* A line "ID ID 1" of decimal digits; nothing here may allocate or use stdio. */
static size_t map_line(uint32_t id, char out[32]) {
    char digits[12];
    size_t n = 0, at = 0;
    do {
        digits[n++] = (char)('0' + id % 10);
        id /= 10;
    } while (id > 0);
    for (int twice = 0; twice < 2; twice++) {
        for (size_t i = n; i > 0; i--)
            out[at++] = digits[i - 1];
        out[at++] = ' ';
    }
    out[at++] = '1';
    return at;
}

/* A network namespace that is empty: with root's rights, or in a user namespace where we stay who we are. */
static bool leave_network(void) {
    if (unshare(CLONE_NEWNET) == 0) return true;
    char uid[32], gid[32];
    const size_t uid_length = map_line(getuid(), uid), gid_length = map_line(getgid(), gid);
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
    (void)write_all("/proc/self/setgroups", "deny", 4);
    (void)write_all("/proc/self/uid_map", uid, uid_length);
    (void)write_all("/proc/self/gid_map", gid, gid_length);
    return true;
}

typedef struct report {
    uint32_t held;
    int error, step; /* step 0: started */
} report;

static void close_on_exec(void) {
#if defined(SYS_close_range)
    if (syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) == 0) return;
#endif
    for (int fd = 3; fd < 4096; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

_Noreturn static void give_up(int out, report *r, int step) {
    r->error = errno;
    r->step = step;
    (void)!write(out, r, sizeof *r);
    _exit(127);
}

_Noreturn static void run_child(const client_sandbox *s, int rules, int printed, int out) {
    report r = {0};
    sigset_t none;
    for (int i = 1; i < 32; i++)
        (void)signal(i, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (setsid() >= 0) r.held |= CLIENT_OWN_SESSION;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) r.held |= CLIENT_NO_PRIVILEGES;
    const int empty = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (empty < 0 || dup2(empty, 0) < 0 || dup2(printed, 1) < 0 || dup2(printed, 2) < 0) give_up(out, &r, 1);
    if (chdir(s->folder) != 0) give_up(out, &r, 2);
    (void)umask(077);
    close_on_exec();
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, s->file_bytes);
    limit(RLIMIT_NOFILE, 4096);
    if (s->memory_bytes > 0) limit(RLIMIT_AS, s->memory_bytes);
    if (!s->network) {
        if (leave_network()) r.held |= CLIENT_NO_INTERFACES;
    }
    if (client_landlock_enter(rules)) r.held |= CLIENT_NO_FILES;
    if (!s->network) {
        if (refuse_sockets()) r.held |= CLIENT_NO_SOCKETS;
        if ((r.held & (CLIENT_NO_INTERFACES | CLIENT_NO_SOCKETS)) == 0) give_up(out, &r, 3);
    }
    (void)!write(out, &r, sizeof r);
    execve(s->command[0], (char *const *)s->command, (char *const *)s->environment);
    give_up(out, &r, 4);
}

/* --- in the parent --- */

typedef struct running {
    pid_t pid;
    int printed, log;
    uint64_t logged, dropped;
} running;

/* What it prints, up to the bound; the rest is read and forgotten, so that it is never held up. */
static void drain(running *r) {
    char bytes[4096];
    for (;;) {
        ssize_t n = read(r->printed, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        uint64_t room = CLIENT_LOG_BYTES_MAX - r->logged;
        if ((uint64_t)n < room) room = (uint64_t)n;
        if (room > 0 && write(r->log, bytes, room) == (ssize_t)room) r->logged += room;
        r->dropped += (uint64_t)n - room;
    }
}

static void end_log(running *r) {
    if (r->dropped == 0) return;
    char text[80];
    const int n = snprintf(text, sizeof text, "\n[%llu more bytes were not kept]\n", (unsigned long long)r->dropped);
    (void)!write(r->log, text, (size_t)n);
}

/* Reaps it if it has ended. */
static bool has_ended(running *r, int *wait_status) {
    for (;;) {
        const pid_t got = waitpid(r->pid, wait_status, WNOHANG);
        if (got == r->pid) return true;
        if (got == 0) return false;
        if (errno != EINTR) {
            *wait_status = 0;
            return true;
        }
    }
}

static bool wait_until(running *r, uint64_t until_ns, const volatile int *cancel, int *wait_status) {
    for (;;) {
        struct pollfd p = {.fd = r->printed, .events = POLLIN};
        (void)poll(&p, 1, 50);
        drain(r);
        if (has_ended(r, wait_status)) return true;
        if (msfl_now_ns() >= until_ns || msfl_is_set(cancel)) return false;
        /* Who has closed its output would make poll return at once. */
        if ((p.revents & (POLLHUP | POLLERR)) != 0) (void)poll(NULL, 0, 50);
    }
}

static const char *step_text(int step) {
    static const char *const texts[] = {"", "its input and output", "its folder", "the network's absence",
                                        "the program"};
    return texts[step >= 0 && step < 5 ? step : 0];
}

static msfl_status start_failure(const client_sandbox *s, const report *r) {
    if (r->step == 3) {
        return msfl_fail(
            MSFL_ERR_POLICY,
            "this machine cannot keep the trainer from the network (neither a filter of system calls nor a "
            "namespace); allow it with network: true, or use a machine that can");
    }
    return msfl_fail_errno(r->error, "the trainer %s cannot be started (%s)", s->command[0], step_text(r->step));
}

/* What the child says before it becomes the command, and if it cannot. */
static msfl_status hear_child(const client_sandbox *s, int in, client_outcome *out) {
    report r;
    bool started = false;
    for (;;) {
        const ssize_t n = read(in, &r, sizeof r);
        if (n < 0 && errno == EINTR) continue;
        if (n != (ssize_t)sizeof r) break;
        if (r.step != 0) return start_failure(s, &r);
        out->held = r.held;
        started = true;
    }
    return started ? MSFL_OK : msfl_fail(MSFL_ERR_SYSTEM, "the trainer's process ended before it began");
}

static msfl_status judge(int wait_status, client_outcome *out) {
    out->exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
    out->signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    return MSFL_OK;
}

static msfl_status supervise(const client_sandbox *s, running *r, client_outcome *out) {
    int wait_status = 0;
    const uint64_t second = UINT64_C(1000000000);
    msfl_status status = MSFL_OK;
    bool ended = wait_until(r, msfl_now_ns() + s->timeout_s * second, s->cancel, &wait_status);
    if (!ended) {
        status = msfl_is_set(s->cancel)
                     ? msfl_fail(MSFL_ERR_CANCELLED, "stopped on request")
                     : msfl_fail(MSFL_ERR_LIMIT, "the trainer was not done after %u s (timeout_s in site.yaml)",
                                 s->timeout_s);
        (void)kill(-r->pid, SIGTERM);
        ended = wait_until(r, msfl_now_ns() + CLIENT_GRACE_S * second, NULL, &wait_status);
    }
    /* Also what it left behind. */
    (void)kill(-r->pid, SIGKILL);
    (void)kill(r->pid, SIGKILL);
    while (!ended && waitpid(r->pid, &wait_status, 0) < 0 && errno == EINTR) {
    }
    drain(r);
    end_log(r);
    return status == MSFL_OK ? judge(wait_status, out) : status;
}

msfl_status client_sandbox_run(const client_sandbox *s, client_outcome *out) {
    int printed[2] = {-1, -1}, said[2] = {-1, -1}, rules = -1;
    running r = {.pid = -1, .printed = -1, .log = -1};
    *out = (client_outcome){.exit_code = -1};
    msfl_status status = MSFL_OK;
    r.log = open(s->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (r.log < 0) status = msfl_fail_errno(errno, "%s cannot be written", s->log);
    if (status == MSFL_OK && (pipe2(printed, O_CLOEXEC) != 0 || pipe2(said, O_CLOEXEC) != 0)) {
        status = msfl_fail_errno(errno, "a pipe could not be made");
    }
    if (status != MSFL_OK) goto done;
    r.printed = printed[0];
    (void)fcntl(r.printed, F_SETFL, O_NONBLOCK);
    rules = client_landlock_new(s->read, s->write);
    r.pid = fork();
    if (r.pid == 0) run_child(s, rules, printed[1], said[1]);
    if (r.pid < 0) {
        status = msfl_fail_errno(errno, "a process for the trainer could not be started");
        goto done;
    }
    close(printed[1]);
    close(said[1]);
    printed[1] = said[1] = -1;
    status = hear_child(s, said[0], out);
    if (status != MSFL_OK) {
        (void)kill(r.pid, SIGKILL);
        while (waitpid(r.pid, NULL, 0) < 0 && errno == EINTR) {
        }
    } else {
        status = supervise(s, &r, out);
    }
done:
    for (int i = 0; i < 2; i++) {
        if (printed[i] >= 0) close(printed[i]);
        if (said[i] >= 0) close(said[i]);
    }
    if (rules >= 0) close(rules);
    if (r.log >= 0) close(r.log);
    return status;
}

void client_sandbox_text(uint32_t held, bool network, char text[200]) {
    const bool filter = (held & CLIENT_NO_SOCKETS) != 0, space = (held & CLIENT_NO_INTERFACES) != 0;
    snprintf(text, 200, "%s%s%s%s", (held & CLIENT_OWN_SESSION) != 0 ? "own session, " : "",
             (held & CLIENT_NO_PRIVILEGES) != 0 ? "no new privileges, " : "",
             network           ? "network allowed"
             : filter && space ? "no network (filter of system calls, namespace)"
             : filter          ? "no network (filter of system calls)"
             : space           ? "no network (namespace)"
                               : "no bound on the network",
             (held & CLIENT_NO_FILES) != 0 ? ", files by rules" : ", no bound on files: it can read this user's");
}

/* --- folders --- */

static void remove_in(int parent, const char *name, unsigned depth) {
    enum { DEPTH_MAX = 64 };
    if (unlinkat(parent, name, 0) == 0 || depth > DEPTH_MAX) return;
    const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return;
    DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        close(fd);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            remove_in(fd, entry->d_name, depth + 1);
        }
    }
    closedir(folder);
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

void client_folder_remove(const char *path) {
    remove_in(AT_FDCWD, path, 0);
}
