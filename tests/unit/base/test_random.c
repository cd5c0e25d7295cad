/* What becomes of a process whose operating system has no randomness to give: it ends, before a key is made of nothing.
 */
#include "base/sodium.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cmocka.h>

/** The system call of the generator fails from now on. False if this system cannot be told so. */
static bool break_generator(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {sizeof program / sizeof program[0], program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0 &&
           syscall(SYS_getrandom, NULL, 0, 0) < 0;
}

static void a_broken_generator_ends_the_process(void **state) {
    (void)state;
    for (int when = 0; when < 2; when++) { /* before and after the first use */
        int status;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            uint8_t seed[32] = {0};
            if (msfl_crypto_init() != MSFL_OK) _exit(3);
            if (when == 1) msfl_random_bytes(seed, sizeof seed);
            if (!break_generator()) _exit(77);
            msfl_random_bytes(seed, sizeof seed);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) skip();
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) {
            fail_msg("the process went on with status %x", (unsigned)status);
        }
    }
}

/** Two processes from one do not draw the same. */
static void children_draw_their_own(void **state) {
    (void)state;
    int ends[2];
    uint8_t mine[32], other[32];
    msfl_random_bytes(mine, sizeof mine);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        msfl_random_bytes(other, sizeof other);
        _exit(write(ends[1], other, sizeof other) == sizeof other ? 0 : 1);
    }
    msfl_random_bytes(mine, sizeof mine);
    assert_int_equal(read(ends[0], other, sizeof other), sizeof other);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_memory_not_equal(mine, other, sizeof mine);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_generator_ends_the_process),
        cmocka_unit_test(children_draw_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
