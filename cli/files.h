/* What the commands on key and ciphertext files share. */
#ifndef MSFL_CLI_FILES_H
#define MSFL_CLI_FILES_H

#include "medsecurefl/cipherfile.h"
#include "terminal.h"

/** What a file is, by its first bytes. */
typedef enum cli_file_kind {
    CLI_FILE_OTHER,
    CLI_FILE_KEY,
    CLI_FILE_CIPHER,
    CLI_FILE_REVOCATION,
    CLI_FILE_MODEL
} cli_file_kind;
/** CLI_FILE_OTHER also for what cannot be read. */
cli_file_kind cli_file_kind_of(const char *path);

/** A bar on the terminal for one long piece of work; `observer` is for the library. Free the terminal afterwards. */
cli_terminal *cli_watch(const char *name, bool quiet, msfl_observer *observer);

/** "0123 4567 89ab ...": groups of four, to be read out; `text` holds 2 n + n / 2 + 1. */
void cli_grouped_hex(const uint8_t *bytes, size_t n, char *text);
/** 32 hexadecimal digits. ERR_USAGE. */
msfl_status cli_key_id_parse(const char *text, uint8_t id[MSFL_KEY_ID_BYTES]) MSFL_NODISCARD;
/** Bytes of a folder's name without slashes at its end, for printf's "%.*s/name". */
int cli_folder_length(const char *folder);
/** "2026-11-26 12:40:07 UTC". */
void cli_time_text(int64_t seconds, char text[32]);

/** ERR_POLICY, saying when and why, if the key was revoked by a file beside it or in `more`; with `warn_only` a line on
 *  standard error instead. */
msfl_status cli_refuse_revoked(const msfl_keyfile *key, const char *more, bool warn_only) MSFL_NODISCARD;

/** ERR_EXISTS, before the work, unless `replace`; always for a file of keys. */
msfl_status cli_refuse_existing(const char *path, bool replace) MSFL_NODISCARD;

#endif
