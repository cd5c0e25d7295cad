/* Files that hold secrets: sealed keys, key files, passphrases. */
#ifndef MSFL_BASE_PRIVATE_H
#define MSFL_BASE_PRIVATE_H

#include "medsecurefl/status.h"

/**
 * The whole of a regular file of at most `bytes_max` bytes, in secret memory (free with msfl_secret_free); one zero
 * byte that is not counted follows. What is checked is the file that was opened, not its name.
 *
 * @retval MSFL_ERR_POLICY  group or others have any right to it, or it belongs to someone else than this user or root
 * @retval MSFL_ERR_LIMIT   larger
 * @retval MSFL_ERR_FORMAT  not a regular file
 * `what` stands in the messages: "the passphrase file". On error `*bytes` is NULL.
 */
msfl_status msfl_private_read(const char *path, const char *what, size_t bytes_max, uint8_t **bytes,
                              size_t *length) MSFL_NODISCARD;

/**
 * The same for what a person keeps as they like: a pipe is fine too, and what others may read is read, with its mode in
 * `*others` (0 if nobody else has any right to it) so that the caller can say so.
 */
msfl_status msfl_personal_read(const char *path, const char *what, size_t bytes_max, uint8_t **bytes, size_t *length,
                               uint32_t *others) MSFL_NODISCARD;

#endif
