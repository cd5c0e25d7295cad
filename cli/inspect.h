/* One look at one file, in plain words or as JSON. Nothing secret is read, so nothing secret can be shown. */
#ifndef MSFL_CLI_INSPECT_H
#define MSFL_CLI_INSPECT_H

#include "files.h"
#include "text/json.h"

typedef struct inspect_options {
    const char *trusted;     /**< a public key that a new one must go back to; or NULL */
    const char *revocations; /**< where else to look; or NULL */
    bool header_only;        /**< ciphertexts: do not read the chunks */
    bool quiet;
    const char *const *paths; /**< all files of the call: links of a chain may be among them */
    size_t n_paths;
} inspect_options;

/** Prints plain words if `json` is NULL; else `*json` gets a new object. */
msfl_status inspect_key(const char *path, const inspect_options *options, json_t **json) MSFL_NODISCARD;
msfl_status inspect_revocation(const char *path, json_t **json) MSFL_NODISCARD;
msfl_status inspect_cipher(const char *path, const inspect_options *options, json_t **json) MSFL_NODISCARD;
msfl_status inspect_model(const char *path, json_t **json) MSFL_NODISCARD;

/** Scheme, addends, bits, range, samples: as members of `object`, or as lines. */
void inspect_spec(const msfl_key_spec *spec, json_t *object);
/** ERR_MEMORY if `object` is NULL, else it goes to `*json`. */
msfl_status inspect_done(json_t *object, json_t **json) MSFL_NODISCARD;
/** A member that is hexadecimal. */
void inspect_hex(json_t *object, const char *name, const uint8_t *bytes, size_t n);

#endif
