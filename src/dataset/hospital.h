/* A hospital's own key: what pseudonyms, caches and sealed sets hang on. It never leaves the hospital. */
#ifndef MSFL_DATASET_HOSPITAL_H
#define MSFL_DATASET_HOSPITAL_H

#include "base/sodium.h"

/** 32 bytes in secret memory. */
typedef struct msfl_hospital msfl_hospital;

/** Write a new key to `path` (mode 0600). ERR_EXISTS if something is there. */
msfl_status msfl_hospital_make(const char *path) MSFL_NODISCARD;
/** ERR_POLICY where others may read the file; ERR_FORMAT if it is no such key. */
msfl_status msfl_hospital_read(const char *path, msfl_hospital **out) MSFL_NODISCARD;
void msfl_hospital_free(msfl_hospital *key);

/** A key of its own for each purpose; `out` is secret. */
void msfl_hospital_derive(const msfl_hospital *key, const char *purpose, uint8_t out[MSFL_AEAD_KEY_BYTES]);

enum { MSFL_PSEUDONYM_BYTES = 16 };
/** The pseudonym of a patient by msfl_patient_hash of the identifier: alike in all of the hospital's sets, and without
 *  the key neither made nor turned back. */
void msfl_hospital_pseudonym(const msfl_hospital *key, const uint8_t patient[MSFL_HASH_BYTES],
                             uint8_t out[MSFL_PSEUDONYM_BYTES]);

#endif
