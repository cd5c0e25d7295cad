/* The header of every object: magic (8), version (4), kind (4), length of the whole (8), fingerprint of the parameters
 * (16), key id (16), number (8). */
#include "base/bytes.h"
#include "base/error.h"
#include "base/sodium.h"
#include "he/rlwe.h"

enum { VERSION = 1, MAGIC_BYTES = 8 };

static const char *kind_name(uint32_t kind) {
    static const char *const names[] = {"key", "secret key", "public key", "ciphertext", "switching key"};
    return kind < sizeof names / sizeof names[0] ? names[kind] : "object of an unknown kind";
}

void msfl_rlwe_write_header(const msfl_rlwe *r, msfl_rlwe_kind kind, uint64_t length, const uint8_t *key_id,
                            uint64_t number, uint8_t out[MSFL_RLWE_HEADER_BYTES]) {
    memcpy(out, r->scheme, MAGIC_BYTES);
    msfl_store32(out + 8, VERSION);
    msfl_store32(out + 12, kind);
    msfl_store64(out + 16, length);
    memcpy(out + 24, r->fingerprint, MSFL_RLWE_ID_BYTES);
    memcpy(out + 40, key_id, MSFL_RLWE_ID_BYTES);
    msfl_store64(out + 56, number);
}

msfl_status msfl_rlwe_read_header(const char *scheme, uint32_t kind, const uint8_t *bytes, size_t length,
                                  msfl_rlwe_header *out) {
    memset(out, 0, sizeof *out);
    if (length < MSFL_RLWE_HEADER_BYTES || memcmp(bytes, scheme, MAGIC_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "these %zu bytes are no %s of the scheme %.8s", length, kind_name(kind),
                         scheme);
    }
    uint32_t version = msfl_load32(bytes + 8), found = msfl_load32(bytes + 12);
    if (version != VERSION) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "a %.8s object of format version %u; this program knows version %u",
                         scheme, version, (unsigned)VERSION);
    }
    uint64_t total = msfl_load64(bytes + 16);
    if (total != length) {
        return msfl_fail(MSFL_ERR_FORMAT, "a %.8s object of %llu bytes comes with %zu: cut off, or something behind it",
                         scheme, (unsigned long long)total, length);
    }
    if (found < MSFL_RLWE_SECRET || found > MSFL_RLWE_SWITCH) {
        return msfl_fail(MSFL_ERR_FORMAT, "a %.8s object of unknown kind %u", scheme, found);
    }
    if (kind != 0 ? found != kind : found == MSFL_RLWE_CIPHERTEXT) {
        return msfl_fail(MSFL_ERR_MISMATCH, "a %s was given where a %s is needed", kind_name(found), kind_name(kind));
    }
    out->kind = found;
    out->length = total;
    memcpy(out->fingerprint, bytes + 24, MSFL_RLWE_ID_BYTES);
    memcpy(out->key_id, bytes + 40, MSFL_RLWE_ID_BYTES);
    out->number = msfl_load64(bytes + 56);
    return MSFL_OK;
}

msfl_status msfl_rlwe_expect(const msfl_rlwe *r, msfl_rlwe_kind kind, const uint8_t *bytes, size_t length,
                             msfl_rlwe_header *out) {
    msfl_status status = msfl_rlwe_read_header(r->scheme, kind, bytes, length, out);
    if (status != MSFL_OK) return status;
    if (memcmp(out->fingerprint, r->fingerprint, MSFL_RLWE_ID_BYTES) == 0) return MSFL_OK;
    char found[2 * MSFL_RLWE_ID_BYTES + 1], wanted[2 * MSFL_RLWE_ID_BYTES + 1];
    msfl_hex(out->fingerprint, MSFL_RLWE_ID_BYTES, found);
    msfl_hex(r->fingerprint, MSFL_RLWE_ID_BYTES, wanted);
    return msfl_fail(MSFL_ERR_MISMATCH, "this %s was made under the parameters %s, not under %s", kind_name(kind),
                     found, wanted);
}

msfl_status msfl_rlwe_check_planes(const msfl_rlwe *r, uint32_t count, const uint8_t *bytes, size_t n) {
    for (uint32_t i = 0; i < count; i++) {
        if (!r->kernel->check(&r->moduli[i], bytes, n)) {
            return msfl_fail(MSFL_ERR_FORMAT, "%.8s: a residue is not below prime %u, or padding is not zero",
                             r->scheme, i);
        }
        bytes += msfl_packed_bytes(&r->moduli[i], n);
    }
    return MSFL_OK;
}

msfl_status msfl_rlwe_check_key(const uint8_t *key_id, const uint8_t *wanted) {
    if (memcmp(key_id, wanted, MSFL_RLWE_ID_BYTES) == 0) return MSFL_OK;
    char found[2 * MSFL_RLWE_ID_BYTES + 1], expected[2 * MSFL_RLWE_ID_BYTES + 1];
    msfl_hex(key_id, MSFL_RLWE_ID_BYTES, found);
    msfl_hex(wanted, MSFL_RLWE_ID_BYTES, expected);
    return msfl_fail(MSFL_ERR_MISMATCH, "made for key %s, and the other is of key %s", found, expected);
}
