/* A command with bounds: a session of its own, an environment of its own, limits of memory, files and time, and, unless
 * it is allowed, no network. */
#ifndef MSFL_CLIENT_SANDBOX_H
#define MSFL_CLIENT_SANDBOX_H

#include "medsecurefl/status.h"

/** What held, by the command's own start. */
enum {
    CLIENT_NO_PRIVILEGES = 1, /* gains none: no set-user-id program */
    CLIENT_NO_SOCKETS = 2,    /* sockets of the network are refused by a filter of system calls */
    CLIENT_NO_INTERFACES = 4, /* a network namespace of its own, without interfaces */
    CLIENT_OWN_SESSION = 8,
    CLIENT_NO_FILES = 16 /* files beyond those that it needs cannot be opened */
};

typedef struct client_sandbox {
    const char *const *command;     /**< NULL at the end; the first is a path */
    const char *const *environment; /**< all of it; NULL at the end */
    const char *folder;             /**< where it runs */
    const char *log;                /**< file for what it prints, cut at CLIENT_LOG_BYTES_MAX; replaced */
    uint32_t timeout_s;
    uint64_t memory_bytes, file_bytes; /**< memory 0: no bound */
    bool network;
    const char *const *read, *const *write; /**< what it may open, and change; each ends with NULL */
    const volatile int *cancel;
} client_sandbox;

enum { CLIENT_LOG_BYTES_MAX = 1 << 20, CLIENT_GRACE_S = 5 /* between TERM and KILL */ };

typedef struct client_outcome {
    int exit_code; /**< -1: ended by a signal */
    int signal;    /**< 0: ended by itself */
    uint32_t held; /**< bits of what held */
} client_outcome;

/**
 * Run it to its end. However it ends, nothing of its process group is left.
 * @retval MSFL_ERR_LIMIT      its time is over
 * @retval MSFL_ERR_CANCELLED
 * @retval MSFL_ERR_MISSING, MSFL_ERR_SYSTEM  it cannot be started
 * @retval MSFL_ERR_POLICY     this machine cannot keep it from the network
 */
msfl_status client_sandbox_run(const client_sandbox *sandbox, client_outcome *out) MSFL_NODISCARD;

/** "own session, no new privileges, no network (filter, namespace), ...": for a log. `text` holds 200 bytes. */
void client_sandbox_text(uint32_t held, bool network, char text[200]);

/** Remove a folder and all in it, not following links. What cannot be removed stays. */
void client_folder_remove(const char *path);

#endif
