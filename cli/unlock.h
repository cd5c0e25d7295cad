/* Passphrases and key files for commands. */
#ifndef MSFL_CLI_UNLOCK_H
#define MSFL_CLI_UNLOCK_H

#include "medsecurefl/keyfile.h"

/** What two options said; either may be NULL. */
typedef struct cli_unlock {
    const char *passphrase_file; /**< "-": standard input, without echo if it is a terminal */
    const char *key_file;
} cli_unlock;

/**
 * Read it. `what` names it at the prompt: "new passphrase". With `is_new` a terminal asks twice and what is too weak is
 * refused. ERR_USAGE, with the names of the options behind `prefix` ("" or "new-"), if there is neither or both.
 */
msfl_status cli_unlock_read(const cli_unlock *from, const char *prefix, const char *what, bool is_new,
                            msfl_unlock **out) MSFL_NODISCARD;

/** A line on standard error if a secret lay in memory that the system would not lock, and so may be on a disk now. */
void cli_warn_of_unlocked_memory(void);

#endif
