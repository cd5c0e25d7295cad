#include "vault/stream.h"

#include "base/error.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define END_MAGIC "MSFLEND"

/* --- what both directions share --- */

static void chain_init(vault_chain *chain, const vault_head *head, size_t head_bytes) {
    *chain = (vault_chain){.n_bytes = head_bytes};
    vault_hash("msfl.vault.chunks.v1", head->hash, MSFL_HASH_BYTES, chain->key);
    msfl_hash_init_keyed(&chain->all, chain->key, "msfl.vault.end.v1");
}

static void chunk_head(uint8_t head[VAULT_CHUNK_HEAD_BYTES], uint64_t index, uint32_t length) {
    msfl_store64(head, index);
    msfl_store32(head + 8, length);
    msfl_store32(head + 12, 0);
}

/** The hash of the next chunk; the chain goes on to the one after. */
static void chain_next(vault_chain *chain, const uint8_t head[VAULT_CHUNK_HEAD_BYTES], const uint8_t *bytes,
                       size_t length, uint8_t hash[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init_keyed(&h, chain->key, "msfl.vault.chunk.v1");
    msfl_hash_add(&h, head, VAULT_CHUNK_HEAD_BYTES);
    msfl_hash_add(&h, bytes, length);
    msfl_hash_final(&h, hash);
    msfl_hash_add(&chain->all, hash, MSFL_HASH_BYTES);
    chain->n_chunks++;
    chain->n_bytes += VAULT_CHUNK_HEAD_BYTES + length + MSFL_HASH_BYTES;
}

static void chain_end(const vault_chain *chain, uint8_t end[VAULT_END_BYTES]) {
    memcpy(end, END_MAGIC, VAULT_MAGIC_BYTES);
    msfl_store64(end + 8, chain->n_chunks);
    msfl_store64(end + 16, chain->n_bytes + VAULT_END_BYTES);
    msfl_hash h = chain->all;
    msfl_hash_add(&h, end, VAULT_END_BYTES - MSFL_HASH_BYTES);
    msfl_hash_final(&h, end + VAULT_END_BYTES - MSFL_HASH_BYTES);
}

msfl_status vault_head_setup(const vault_head *head, msfl_setup **setup, msfl_keys **keys) {
    *setup = NULL;
    *keys = NULL;
    const msfl_scheme *scheme;
    uint8_t id[MSFL_KEY_ID_BYTES];
    msfl_status status = msfl_scheme_find(head->info.spec.scheme, &scheme);
    if (status == MSFL_OK) {
        status = msfl_pair_setup(scheme, &head->info.spec.request, head->adder, head->adder_length, setup);
    }
    if (status == MSFL_OK) status = msfl_keys_read(*setup, MSFL_KEY_ADDER, head->adder, head->adder_length, keys);
    if (status == MSFL_OK) {
        msfl_keys_id(*keys, id);
        if (memcmp(id, head->info.key_id, sizeof id) != 0) {
            status = msfl_fail(MSFL_ERR_FORMAT, "the header names one key and describes another");
        } else if (msfl_setup_chunks(*setup) != head->info.n_chunks) {
            status = msfl_fail(MSFL_ERR_FORMAT, "the header states %llu chunks where its parameters make %llu",
                               (unsigned long long)head->info.n_chunks, (unsigned long long)msfl_setup_chunks(*setup));
        }
    }
    if (status != MSFL_OK) {
        msfl_keys_free(*keys);
        msfl_setup_free(*setup);
        *keys = NULL;
        *setup = NULL;
    }
    return status;
}

/* Bytes of the whole file, or the first number above `limit` that is reached in counting: a header from outside may
 *  state any number of chunks. */
static uint64_t file_bytes_of(size_t head_bytes, const msfl_setup *setup, uint64_t limit) {
    uint64_t n = msfl_setup_chunks(setup), sum = (uint64_t)head_bytes + VAULT_END_BYTES;
    for (uint64_t j = 0; j < n && sum <= limit; j++)
        sum += VAULT_CHUNK_HEAD_BYTES + msfl_setup_chunk_bytes(setup, j) + MSFL_HASH_BYTES;
    return sum;
}

size_t vault_chunk_bytes_max(const msfl_setup *setup) {
    /* All but the last are equal, and the last is not longer; but that is the schemes' habit, not their contract. */
    size_t first = msfl_setup_chunk_bytes(setup, 0);
    size_t last = msfl_setup_chunk_bytes(setup, msfl_setup_chunks(setup) - 1);
    return first > last ? first : last;
}

/* --- writing --- */

msfl_status vault_writer_open(const char *path, int mode, vault_head *head, vault_writer *out) {
    *out = (vault_writer){0};
    msfl_buffer bytes = {0};
    msfl_status status = vault_head_put(head, &bytes);
    if (status == MSFL_OK) status = msfl_output_open(path, mode, &out->output);
    if (status == MSFL_OK) status = msfl_output_write(out->output, bytes.bytes, bytes.length);
    if (status == MSFL_OK) {
        chain_init(&out->chain, head, bytes.length);
    } else {
        vault_writer_clear(out);
    }
    msfl_buffer_clear(&bytes);
    return status;
}

msfl_status vault_writer_put(vault_writer *writer, const uint8_t *bytes, size_t length) {
    uint8_t head[VAULT_CHUNK_HEAD_BYTES], hash[MSFL_HASH_BYTES];
    if (length > UINT32_MAX) return msfl_fail(MSFL_ERR_LIMIT, "a chunk of %zu bytes", length);
    chunk_head(head, writer->chain.n_chunks, (uint32_t)length);
    chain_next(&writer->chain, head, bytes, length, hash);
    msfl_status status = msfl_output_write(writer->output, head, sizeof head);
    if (status == MSFL_OK) status = msfl_output_write(writer->output, bytes, length);
    if (status == MSFL_OK) status = msfl_output_write(writer->output, hash, sizeof hash);
    return status;
}

msfl_status vault_writer_commit(vault_writer *writer) {
    uint8_t end[VAULT_END_BYTES];
    chain_end(&writer->chain, end);
    msfl_status status = msfl_output_write(writer->output, end, sizeof end);
    if (status == MSFL_OK) status = msfl_output_commit(writer->output);
    return status;
}

void vault_writer_clear(vault_writer *writer) {
    msfl_output_free(writer->output);
    *writer = (vault_writer){0};
}

/* --- reading --- */

static msfl_status read_exactly(msfl_cipher *c, void *bytes, size_t length, const char *where) {
    if (fread(bytes, 1, length, c->file) == length) return MSFL_OK;
    if (ferror(c->file)) return msfl_fail_errno(errno, "cannot read %s", c->name);
    return msfl_fail(MSFL_ERR_FORMAT, "%s is cut off %s", c->name, where);
}

static msfl_status read_head(msfl_cipher *c) {
    uint8_t prefix[VAULT_HEAD_PREFIX_BYTES];
    size_t length;
    msfl_status status = read_exactly(c, prefix, sizeof prefix, "within its header");
    if (status != MSFL_OK) return status;
    status = vault_head_length(prefix, &length);
    if (status != MSFL_OK) return msfl_fail_in(status, "%s", c->name);
    if (length > c->size) return msfl_fail(MSFL_ERR_FORMAT, "%s is cut off within its header", c->name);
    uint8_t *bytes = msfl_alloc(length, 1);
    if (bytes == NULL) return MSFL_NO_MEMORY;
    memcpy(bytes, prefix, sizeof prefix);
    status = read_exactly(c, bytes + sizeof prefix, length - sizeof prefix, "within its header");
    if (status == MSFL_OK) {
        status = vault_head_parse(bytes, length, &c->head);
        if (status != MSFL_OK) status = msfl_fail_in(status, "%s", c->name);
    }
    if (status == MSFL_OK) {
        c->head_bytes = length;
        c->head.info.file_bytes = c->size;
        chain_init(&c->chain, &c->head, length);
    }
    msfl_free(bytes);
    return status;
}

msfl_status vault_cipher_from(const char *name, FILE *file, uint64_t size, msfl_cipher **out) {
    *out = NULL;
    msfl_cipher *c = msfl_alloc(1, sizeof *c);
    if (c == NULL) {
        (void)fclose(file);
        return MSFL_NO_MEMORY;
    }
    c->file = file;
    c->size = size;
    c->name = msfl_strdup(name);
    msfl_status status = c->name == NULL ? MSFL_NO_MEMORY : read_head(c);
    if (status != MSFL_OK) {
        msfl_cipher_free(c);
        return status;
    }
    *out = c;
    return MSFL_OK;
}

msfl_status msfl_cipher_open(const char *path, msfl_cipher **out) {
    *out = NULL;
    msfl_status status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return msfl_fail_errno(errno, "cannot open %s", path);
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = msfl_fail_errno(errno, "cannot examine %s", path);
    } else if (!S_ISREG(info.st_mode)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s is not a regular file", path);
    }
    FILE *file = status == MSFL_OK ? fdopen(fd, "rb") : NULL;
    if (file == NULL) {
        if (status == MSFL_OK) status = msfl_fail_errno(errno, "cannot open %s", path);
        close(fd);
        return status;
    }
    return vault_cipher_from(path, file, (uint64_t)info.st_size, out);
}

void msfl_cipher_free(msfl_cipher *cipher) {
    if (cipher == NULL) return;
    if (cipher->file != NULL) (void)fclose(cipher->file); /* it was only read */
    vault_head_clear(&cipher->head);
    msfl_free(cipher->name);
    msfl_free(cipher);
}

const msfl_cipher_info *msfl_cipher_info_borrow(const msfl_cipher *cipher) {
    return &cipher->head.info;
}

msfl_status vault_cipher_begin(msfl_cipher *cipher, const msfl_setup *setup) {
    if (cipher->is_used) return msfl_fail(MSFL_ERR_USAGE, "%s was read already; open it again", cipher->name);
    cipher->is_used = true;
    uint64_t expected = file_bytes_of(cipher->head_bytes, setup, cipher->size);
    if (cipher->size == expected) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "%s has %llu bytes, %s", cipher->name, (unsigned long long)cipher->size,
                     cipher->size < expected ? "fewer than its header says: it is cut off"
                                             : "more than its header says: something follows after its end");
}

msfl_status vault_cipher_next(msfl_cipher *cipher, const msfl_setup *setup, uint8_t *bytes) {
    uint8_t head[VAULT_CHUNK_HEAD_BYTES], expected[VAULT_CHUNK_HEAD_BYTES], hash[MSFL_HASH_BYTES],
        stated[MSFL_HASH_BYTES];
    const uint64_t j = cipher->chain.n_chunks;
    const size_t length = msfl_setup_chunk_bytes(setup, j);
    msfl_status status = read_exactly(cipher, head, sizeof head, "between its chunks");
    if (status != MSFL_OK) return status;
    uint64_t index = msfl_load64(head);
    if (index != j) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: chunk %llu stands where chunk %llu belongs: one is %s", cipher->name,
                         (unsigned long long)index, (unsigned long long)j,
                         index < j ? "repeated or out of order" : "missing, or damaged");
    }
    chunk_head(expected, j, (uint32_t)length);
    if (memcmp(head, expected, sizeof head) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: chunk %llu says it has %u bytes where %zu are due", cipher->name,
                         (unsigned long long)j, msfl_load32(head + 8), length);
    }
    status = read_exactly(cipher, bytes, length, "within a chunk");
    if (status == MSFL_OK) status = read_exactly(cipher, stated, sizeof stated, "within a chunk");
    if (status != MSFL_OK) return status;
    chain_next(&cipher->chain, head, bytes, length, hash);
    if (memcmp(hash, stated, sizeof hash) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: chunk %llu is damaged, or was put in from another file", cipher->name,
                         (unsigned long long)j);
    }
    return MSFL_OK;
}

msfl_status vault_cipher_end(msfl_cipher *cipher) {
    uint8_t end[VAULT_END_BYTES], expected[VAULT_END_BYTES];
    msfl_status status = read_exactly(cipher, end, sizeof end, "before its end");
    if (status != MSFL_OK) return status;
    chain_end(&cipher->chain, expected);
    if (memcmp(end, expected, sizeof end) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: its end is damaged, or chunks are missing", cipher->name);
    }
    if (fgetc(cipher->file) != EOF)
        return msfl_fail(MSFL_ERR_FORMAT, "%s: something follows after its end", cipher->name);
    return MSFL_OK;
}
