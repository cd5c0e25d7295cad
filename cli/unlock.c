#include "unlock.h"

#include "base/error.h"
#include "base/sodium.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { LINE_BYTES = MSFL_PASSPHRASE_BYTES_MAX + 3 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

/** All of standard input, or a line of a terminal; `*length` without a closing zero. `signals`: the mask while it waits
 * for the terminal; they are blocked otherwise, or one that comes right before `read` would leave it waiting. */
static msfl_status read_input(char *line, size_t *length, const sigset_t *signals) {
    size_t have = 0;
    *length = 0;
    for (;;) {
        if (have == LINE_BYTES) return msfl_fail(MSFL_ERR_USAGE, "the passphrase is too long");
        struct pollfd terminal = {.fd = STDIN_FILENO, .events = POLLIN};
        ssize_t n = signals == NULL ? 0 : ppoll(&terminal, 1, NULL, signals);
        if (interrupted) return msfl_fail(MSFL_ERR_CANCELLED, "stopped at the prompt for a passphrase");
        if (n >= 0) n = read(STDIN_FILENO, line + have, LINE_BYTES - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return msfl_fail_errno(errno, "cannot read the passphrase from standard input");
        if (n == 0) break;
        have += (size_t)n;
        if (line[have - 1] == '\n' && isatty(STDIN_FILENO)) break;
    }
    *length = have;
    return MSFL_OK;
}

/** With the echo off; the terminal is as before afterwards, also when the user gives up. */
static msfl_status ask(const char *what, char *line, size_t *length) {
    struct termios before, quiet;
    if (tcgetattr(STDIN_FILENO, &before) != 0) return msfl_fail_errno(errno, "cannot ask for a passphrase");
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction old[4], action = {.sa_handler = on_signal};
    sigset_t blocked, mask;
    interrupted = 0;
    sigemptyset(&blocked);
    for (size_t i = 0; i < 4; i++)
        sigaddset(&blocked, signals[i]);
    sigprocmask(SIG_BLOCK, &blocked, &mask);
    for (size_t i = 0; i < 4; i++)
        sigaction(signals[i], &action, &old[i]);
    msfl_status status;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) != 0) {
        status = msfl_fail_errno(errno, "cannot switch off the echo of the terminal");
    } else {
        fprintf(stderr, "%s: ", what);
        fflush(stderr);
        status = read_input(line, length, &mask);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    }
    fputc('\n', stderr);
    for (size_t i = 0; i < 4; i++)
        sigaction(signals[i], &old[i], NULL);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return status;
}

static msfl_status from_input(const char *what, bool is_new, msfl_unlock **out) {
    char *line = msfl_secret_alloc(LINE_BYTES), *again = msfl_secret_alloc(LINE_BYTES);
    size_t length = 0, length_again = 0;
    msfl_status status = line == NULL || again == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    if (status == MSFL_OK && isatty(STDIN_FILENO)) {
        status = ask(what, line, &length);
        if (status == MSFL_OK && is_new) {
            status = ask("once more", again, &length_again);
            if (status == MSFL_OK && (length != length_again || !msfl_equal(line, again, length))) {
                status = msfl_fail(MSFL_ERR_USAGE, "the two passphrases differ");
            }
        }
    } else if (status == MSFL_OK) {
        status = read_input(line, &length, NULL);
    }
    if (status == MSFL_OK) status = msfl_unlock_passphrase(line, length, out);
    msfl_secret_free(line);
    msfl_secret_free(again);
    return status;
}

msfl_status cli_unlock_read(const cli_unlock *from, const char *prefix, const char *what, bool is_new,
                            msfl_unlock **out) {
    *out = NULL;
    if ((from->passphrase_file == NULL) == (from->key_file == NULL)) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "say either --%spassphrase-file FILE ('-' asks) or --%skeyfile FILE; a passphrase is never "
                         "taken from the command line",
                         prefix, prefix);
    }
    msfl_status status;
    if (from->key_file != NULL) {
        status = msfl_unlock_key_file(from->key_file, out);
    } else if (strcmp(from->passphrase_file, "-") == 0) {
        status = from_input(what, is_new, out);
    } else {
        uint32_t others;
        status = msfl_unlock_passphrase_file(from->passphrase_file, &others, out);
        if (status == MSFL_OK && others != 0) {
            fprintf(stderr, "warning: others on this machine may read the passphrase file %s: chmod 600 it\n",
                    from->passphrase_file);
        }
    }
    if (status == MSFL_OK && is_new) status = msfl_unlock_check_new(*out);
    if (status == MSFL_OK && is_new && msfl_unlock_is_weak(*out)) {
        fprintf(stderr, "warning: the passphrase is weak; five or six random words are good\n");
    }
    if (status != MSFL_OK) {
        msfl_unlock_free(*out);
        *out = NULL;
    }
    return status;
}

void cli_warn_of_unlocked_memory(void) {
    uint64_t bytes = msfl_secret_unlocked_bytes();
    if (bytes == 0) return;
    fprintf(stderr,
            "warning: %llu bytes of secrets were in memory that the system did not lock and may have paged out: raise "
            "the limit with 'ulimit -l'\n",
            (unsigned long long)bytes);
}
