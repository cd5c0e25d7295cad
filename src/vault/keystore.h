/* Names and steps that the files of a key folder share. */
#ifndef MSFL_VAULT_KEYSTORE_H
#define MSFL_VAULT_KEYSTORE_H

#include "vault/keyfile.h"

#define VAULT_PUBLIC_NAME  "public.msk"
#define VAULT_SECRET_NAME  "secret.msk"
#define VAULT_RETIRED_NAME "retired"
/** What a rotation has made and not yet put in place. */
#define VAULT_NEXT_PUBLIC "public.msk.next"
#define VAULT_NEXT_SECRET "secret.msk.next"

/** folder/name as a key file; the half must be `half`. */
msfl_status vault_store_read(const char *folder, const char *name, msfl_key_part half,
                             msfl_keyfile **out) MSFL_NODISCARD;
/** The secret half `key_id` of a folder: secret.msk, or the one in retired/. ERR_MISSING if it has none. */
msfl_status vault_store_secret(const char *folder, const uint8_t key_id[MSFL_KEY_ID_BYTES],
                               msfl_keyfile **out) MSFL_NODISCARD;
/** A first pair into a folder: as msfl_keystore_create. */
msfl_status vault_store_save(const char *folder, const vault_pair *pair, const msfl_unlock *unlock) MSFL_NODISCARD;
/** retired/ID.public.msk or retired/ID.secret.msk in `folder`; msfl_free. NULL when out of memory. */
char *vault_retired_path(const char *folder, const uint8_t key_id[MSFL_KEY_ID_BYTES], msfl_key_part half);
/** The folder that `path` lies in; msfl_free. */
char *vault_folder_of(const char *path);

#endif
