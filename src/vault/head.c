#include "vault/head.h"

#include "base/error.h"
#include "base/mem.h"

#define MAGIC "MSFLENC"

enum { HEAD_VERSION = 1 };

/* --- contents, copied --- */

static void clear_content(vault_head *head) {
    for (uint32_t i = 0; head->names != NULL && i < head->info.content.n_names; i++)
        msfl_free(head->names[i]);
    msfl_free(head->names);
    msfl_free(head->yaml);
    msfl_free(head->normalise);
    msfl_free(head->recipe);
    head->names = NULL;
    head->yaml = head->normalise = head->recipe = NULL;
    head->info.content = (msfl_content){0};
}

void vault_head_clear(vault_head *head) {
    clear_content(head);
    msfl_free(head->addends);
    *head = (vault_head){0};
}

static msfl_status check_text(const char *what, const char *text, size_t max) {
    size_t n = strnlen(text, max + 1);
    if (n > max) return msfl_fail(MSFL_ERR_LIMIT, "%s has more than %zu bytes", what, max);
    return MSFL_OK;
}

/** Everything about a content that can be wrong, wherever it came from. */
static msfl_status check_content(const msfl_content *c) {
    if (c->n_values == 0) return msfl_fail(MSFL_ERR_USAGE, "the vector has no values: there is nothing to encrypt");
    if (c->n_values > MSFL_CONTENT_VALUES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%llu values; a file holds at most 2^33", (unsigned long long)c->n_values);
    }
    if (c->kind == MSFL_CONTENT_VECTOR) {
        uint64_t product = 1;
        bool fits = c->rank >= 1 && c->rank <= MSFL_CONTENT_DIMS_MAX;
        for (uint32_t i = 0; fits && i < c->rank; i++)
            fits = !__builtin_mul_overflow(product, c->dims[i], &product);
        if (fits && product == c->n_values) return MSFL_OK;
        return msfl_fail(MSFL_ERR_USAGE, "the shape of the array is not that of %llu values",
                         (unsigned long long)c->n_values);
    }
    if (c->kind != MSFL_CONTENT_MODEL || c->model_yaml == NULL) return msfl_fail(MSFL_ERR_USAGE, "an unknown content");
    if (c->n_names > MSFL_CONTENT_NAMES_MAX || (c->n_names > 0 && c->class_names == NULL)) {
        return msfl_fail(MSFL_ERR_LIMIT, "a model with %u class names; %d are the most", c->n_names,
                         MSFL_CONTENT_NAMES_MAX);
    }
    msfl_status status = check_text("the model's description", c->model_yaml, MSFL_CONTENT_TEXT_MAX);
    for (uint32_t i = 0; status == MSFL_OK && i < c->n_names; i++)
        status = check_text("a class name", c->class_names[i], VAULT_NAME_BYTES_MAX);
    if (status == MSFL_OK && c->normalise != NULL) {
        status = check_text("the way pixels are normalised", c->normalise, MSFL_CONTENT_TEXT_MAX);
    }
    if (status == MSFL_OK && c->recipe != NULL &&
        (strnlen(c->recipe, VAULT_RECIPE_DIGITS + 1) != VAULT_RECIPE_DIGITS ||
         strspn(c->recipe, "0123456789abcdef") != VAULT_RECIPE_DIGITS)) {
        status = msfl_fail(MSFL_ERR_USAGE, "the hash of a recipe has %d hexadecimal digits", VAULT_RECIPE_DIGITS);
    }
    return status;
}

msfl_status vault_head_content(vault_head *head, const msfl_content *content) {
    msfl_status status = check_content(content);
    if (status != MSFL_OK) return status;
    clear_content(head);
    msfl_content *c = &head->info.content;
    *c = (msfl_content){.kind = content->kind, .n_values = content->n_values};
    if (content->kind == MSFL_CONTENT_VECTOR) {
        c->rank = content->rank;
        memcpy(c->dims, content->dims, content->rank * sizeof c->dims[0]);
        return MSFL_OK;
    }
    bool whole = true;
    head->yaml = msfl_strdup(content->model_yaml);
    head->names = msfl_alloc(content->n_names, sizeof *head->names);
    if (content->normalise != NULL) {
        head->normalise = msfl_strdup(content->normalise);
        whole = head->normalise != NULL;
    }
    if (content->recipe != NULL) {
        head->recipe = msfl_strdup(content->recipe);
        whole = whole && head->recipe != NULL;
    }
    if (head->yaml == NULL || head->names == NULL || !whole) return MSFL_NO_MEMORY;
    c->n_names = content->n_names; /* from here on clear_content looks at that many */
    for (uint32_t i = 0; i < c->n_names; i++) {
        head->names[i] = msfl_strdup(content->class_names[i]);
        if (head->names[i] == NULL) return MSFL_NO_MEMORY;
    }
    c->model_yaml = head->yaml;
    c->normalise = head->normalise;
    c->recipe = head->recipe;
    c->class_names = (const char *const *)head->names;
    return MSFL_OK;
}

msfl_status vault_head_addends(vault_head *head, const vault_file_id *ids, size_t n) {
    vault_file_id *copy = msfl_alloc(n, sizeof *copy);
    if (copy == NULL) return MSFL_NO_MEMORY;
    memcpy(copy, ids, n * sizeof *copy);
    msfl_free(head->addends);
    head->addends = copy;
    head->info.addends = (const uint8_t(*)[16])copy;
    head->info.n_addends = (uint32_t)n;
    return MSFL_OK;
}

msfl_status vault_head_copy(vault_head *head, const vault_head *from) {
    msfl_status status = vault_head_content(head, &from->info.content);
    if (status != MSFL_OK) return status;
    msfl_content content = head->info.content;
    head->info = from->info;
    head->info.content = content;
    head->info.addends = NULL;
    head->info.n_addends = 0;
    memcpy(head->adder, from->adder, from->adder_length);
    head->adder_length = from->adder_length;
    return MSFL_OK;
}

/* --- bytes --- */

static void put_string(msfl_buffer *out, const char *text) {
    size_t n = strlen(text);
    msfl_put32(out, (uint32_t)n);
    msfl_put_bytes(out, text, n);
}

/* Which texts follow the class names. */
enum { HAS_NORMALISE = 1, HAS_RECIPE = 2 };

static void put_content(msfl_buffer *out, const msfl_content *c) {
    msfl_put32(out, (uint32_t)c->kind);
    if (c->kind == MSFL_CONTENT_VECTOR) {
        msfl_put32(out, c->rank);
        for (uint32_t i = 0; i < c->rank; i++)
            msfl_put64(out, c->dims[i]);
        return;
    }
    put_string(out, c->model_yaml);
    msfl_put32(out, c->n_names);
    for (uint32_t i = 0; i < c->n_names; i++)
        put_string(out, c->class_names[i]);
    msfl_put32(out, (c->normalise != NULL ? HAS_NORMALISE : 0) | (c->recipe != NULL ? HAS_RECIPE : 0));
    if (c->normalise != NULL) put_string(out, c->normalise);
    if (c->recipe != NULL) put_string(out, c->recipe);
}

/** What all addends of a sum have in common. */
static void put_common(msfl_buffer *out, const vault_head *head) {
    vault_spec_put(out, &head->info.spec);
    msfl_put_bytes(out, head->info.key_id, MSFL_KEY_ID_BYTES);
    msfl_put64(out, head->info.content.n_values);
    msfl_put64(out, head->info.round);
    msfl_put32(out, (uint32_t)head->adder_length);
    msfl_put_bytes(out, head->adder, head->adder_length);
    put_content(out, &head->info.content);
}

msfl_status vault_head_label(const vault_head *head, uint8_t label[MSFL_HASH_BYTES]) {
    msfl_buffer common = {0};
    put_common(&common, head);
    msfl_status status = common.status;
    memset(label, 0, MSFL_HASH_BYTES);
    if (status == MSFL_OK) vault_hash("msfl.vault.label.v1", common.bytes, common.length, label);
    msfl_buffer_clear(&common);
    return status;
}

msfl_status vault_head_put(vault_head *head, msfl_buffer *out) {
    msfl_put_bytes(out, MAGIC, VAULT_MAGIC_BYTES);
    msfl_put32(out, HEAD_VERSION);
    msfl_put32(out, 0);
    msfl_put_bytes(out, head->info.file_id, VAULT_FILE_ID_BYTES);
    msfl_put_bytes(out, head->info.label, MSFL_HASH_BYTES);
    msfl_put64(out, head->info.n_chunks);
    put_common(out, head);
    msfl_put32(out, head->info.n_addends);
    msfl_put_bytes(out, head->addends, (size_t)head->info.n_addends * VAULT_FILE_ID_BYTES);
    if (out->status != MSFL_OK) return out->status;
    if (out->length + MSFL_HASH_BYTES > VAULT_HEAD_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "the header of the ciphertext file would have %zu bytes; %d are the most",
                         out->length + MSFL_HASH_BYTES, VAULT_HEAD_BYTES_MAX);
    }
    msfl_store32(out->bytes + 12, (uint32_t)(out->length + MSFL_HASH_BYTES));
    vault_hash("msfl.vault.header.v1", out->bytes, out->length, head->hash);
    msfl_put_bytes(out, head->hash, sizeof head->hash);
    return out->status;
}

msfl_status vault_head_length(const uint8_t *prefix, size_t *length) {
    *length = 0;
    if (memcmp(prefix, MAGIC, VAULT_MAGIC_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "not a ciphertext file of medsecurefl");
    }
    uint32_t version = msfl_load32(prefix + 8), bytes = msfl_load32(prefix + 12);
    if (version != HEAD_VERSION) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "a ciphertext file of version %u; this program reads version %d",
                         version, HEAD_VERSION);
    }
    if (bytes < VAULT_HEAD_PREFIX_BYTES + MSFL_HASH_BYTES || bytes > VAULT_HEAD_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "a header of %u bytes; at most %d are accepted", bytes, VAULT_HEAD_BYTES_MAX);
    }
    *length = bytes;
    return MSFL_OK;
}

/** A text in memory of its own, without zeros inside; NULL with `in->failed` set when it is not one. */
static char *get_string(msfl_reader *in, size_t max, msfl_status *status) {
    uint32_t n = msfl_get32(in);
    const uint8_t *p = n > max ? NULL : msfl_get_bytes(in, n);
    if (p == NULL || memchr(p, 0, n) != NULL) {
        in->failed = true;
        return NULL;
    }
    char *text = msfl_strndup((const char *)p, n);
    if (text == NULL) *status = MSFL_NO_MEMORY;
    return text;
}

static msfl_status get_model(msfl_reader *in, vault_head *head) {
    msfl_status status = MSFL_OK;
    msfl_content *c = &head->info.content;
    head->yaml = get_string(in, MSFL_CONTENT_TEXT_MAX, &status);
    c->model_yaml = head->yaml;
    uint32_t n = msfl_get32(in);
    if (status != MSFL_OK || in->failed || n > MSFL_CONTENT_NAMES_MAX) {
        in->failed = true;
        return status;
    }
    head->names = msfl_alloc(n, sizeof *head->names);
    if (head->names == NULL) return MSFL_NO_MEMORY;
    c->n_names = n;
    c->class_names = (const char *const *)head->names;
    for (uint32_t i = 0; i < n && !in->failed && status == MSFL_OK; i++)
        head->names[i] = get_string(in, VAULT_NAME_BYTES_MAX, &status);
    uint32_t has = msfl_get32(in);
    if (status != MSFL_OK || in->failed || has > (HAS_NORMALISE | HAS_RECIPE)) {
        in->failed = true;
        return status;
    }
    if ((has & HAS_NORMALISE) != 0) head->normalise = get_string(in, MSFL_CONTENT_TEXT_MAX, &status);
    if ((has & HAS_RECIPE) != 0 && status == MSFL_OK) head->recipe = get_string(in, VAULT_RECIPE_DIGITS, &status);
    c->normalise = head->normalise;
    c->recipe = head->recipe;
    return status;
}

static msfl_status get_content(msfl_reader *in, vault_head *head) {
    msfl_content *c = &head->info.content;
    msfl_status status = MSFL_OK;
    uint32_t kind = msfl_get32(in);
    if (kind == MSFL_CONTENT_VECTOR) {
        c->kind = MSFL_CONTENT_VECTOR;
        c->rank = msfl_get32(in);
        if (c->rank > MSFL_CONTENT_DIMS_MAX) in->failed = true;
        for (uint32_t i = 0; !in->failed && i < c->rank; i++)
            c->dims[i] = msfl_get64(in);
    } else if (kind == MSFL_CONTENT_MODEL) {
        c->kind = MSFL_CONTENT_MODEL;
        status = get_model(in, head);
    } else {
        in->failed = true;
    }
    return status;
}

static msfl_status get_addends(msfl_reader *in, vault_head *head) {
    uint32_t n = msfl_get32(in);
    if (in->failed || n < 1 || n > head->info.spec.request.n_clients) {
        in->failed = true;
        return MSFL_OK;
    }
    const uint8_t *ids = msfl_get_bytes(in, (size_t)n * VAULT_FILE_ID_BYTES);
    return ids == NULL ? MSFL_OK : vault_head_addends(head, (const vault_file_id *)ids, n);
}

static msfl_status parse(msfl_reader *in, vault_head *head) {
    msfl_cipher_info *info = &head->info;
    (void)msfl_get_bytes(in, VAULT_HEAD_PREFIX_BYTES);
    info->version = HEAD_VERSION;
    const uint8_t *file_id = msfl_get_bytes(in, VAULT_FILE_ID_BYTES), *label = msfl_get_bytes(in, MSFL_HASH_BYTES);
    info->n_chunks = msfl_get64(in);
    if (in->failed) return MSFL_OK;
    memcpy(info->file_id, file_id, sizeof info->file_id);
    memcpy(info->label, label, sizeof info->label);
    msfl_status status = vault_spec_get(in, &info->spec);
    if (status != MSFL_OK) return status;
    const uint8_t *key_id = msfl_get_bytes(in, MSFL_KEY_ID_BYTES);
    info->content.n_values = msfl_get64(in);
    uint64_t n_values = info->content.n_values;
    info->round = msfl_get64(in);
    head->adder_length = msfl_get32(in);
    const uint8_t *adder = head->adder_length <= sizeof head->adder ? msfl_get_bytes(in, head->adder_length) : NULL;
    if (adder == NULL || in->failed) {
        in->failed = true;
        return MSFL_OK;
    }
    memcpy(info->key_id, key_id, sizeof info->key_id);
    memcpy(head->adder, adder, head->adder_length);
    status = get_content(in, head);
    info->content.n_values = n_values;
    if (status == MSFL_OK && !in->failed) status = get_addends(in, head);
    return status;
}

msfl_status vault_head_parse(const uint8_t *bytes, size_t length, vault_head *out) {
    *out = (vault_head){0};
    vault_head head = {0};
    size_t stated;
    if (length < VAULT_HEAD_PREFIX_BYTES) return msfl_fail(MSFL_ERR_FORMAT, "cut off within its header");
    msfl_status status = vault_head_length(bytes, &stated);
    if (status == MSFL_OK && stated != length) status = msfl_fail(MSFL_ERR_FORMAT, "cut off within its header");
    if (status != MSFL_OK) return status;
    vault_hash("msfl.vault.header.v1", bytes, length - MSFL_HASH_BYTES, head.hash);
    if (memcmp(head.hash, bytes + length - MSFL_HASH_BYTES, sizeof head.hash) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "its header is damaged: the hash does not match the bytes");
    }
    msfl_reader in = msfl_reader_init(bytes, length - MSFL_HASH_BYTES);
    status = parse(&in, &head);
    if (status == MSFL_OK && (in.failed || msfl_reader_left(&in) != 0)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "its header is malformed");
    }
    if (status == MSFL_OK && check_content(&head.info.content) != MSFL_OK) {
        status = msfl_fail_in(MSFL_ERR_FORMAT, "its header is malformed");
    }
    if (status == MSFL_OK) {
        uint8_t label[MSFL_HASH_BYTES];
        status = vault_head_label(&head, label);
        if (status == MSFL_OK && memcmp(label, head.info.label, sizeof label) != 0) {
            status = msfl_fail(MSFL_ERR_FORMAT, "its label does not follow from its header");
        }
    }
    if (status != MSFL_OK) {
        vault_head_clear(&head);
        return status;
    }
    *out = head;
    return MSFL_OK;
}

/* --- two headers --- */

void vault_id_text(const uint8_t id[MSFL_KEY_ID_BYTES], char text[2 * MSFL_KEY_ID_BYTES + 1]) {
    msfl_hex(id, MSFL_KEY_ID_BYTES, text);
}

static bool same_text(const char *a, const char *b) {
    return (a == NULL || b == NULL) ? a == b : strcmp(a, b) == 0;
}

/** What differs between two contents, or NULL. */
static const char *content_difference(const msfl_content *a, const msfl_content *b) {
    if (a->kind != b->kind) return "one holds a model, the other a plain vector";
    if (a->n_values != b->n_values) return "they hold vectors of different lengths";
    if (a->kind == MSFL_CONTENT_VECTOR) {
        bool same = a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
        return same ? NULL : "they hold arrays of different shapes";
    }
    if (!same_text(a->model_yaml, b->model_yaml)) return "they hold models of different architectures";
    if (!same_text(a->normalise, b->normalise)) return "their models normalise pixels in different ways";
    if (!same_text(a->recipe, b->recipe)) return "their models take pictures made by different recipes";
    bool same = a->n_names == b->n_names;
    for (uint32_t i = 0; same && i < a->n_names; i++)
        same = same_text(a->class_names[i], b->class_names[i]);
    return same ? NULL : "their models have different class names, or in another order";
}

msfl_status vault_head_same(const char *name_a, const vault_head *a, const char *name_b, const vault_head *b) {
    const msfl_key_spec *x = &a->info.spec, *y = &b->info.spec;
    if (memcmp(a->info.label, b->info.label, MSFL_HASH_BYTES) == 0) return MSFL_OK;
    if (strcmp(x->scheme, y->scheme) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s is of scheme %s, %s of scheme %s", name_a, x->scheme, name_b,
                         y->scheme);
    }
    if (memcmp(a->info.key_id, b->info.key_id, MSFL_KEY_ID_BYTES) != 0) {
        char p[2 * MSFL_KEY_ID_BYTES + 1], q[2 * MSFL_KEY_ID_BYTES + 1];
        vault_id_text(a->info.key_id, p);
        vault_id_text(b->info.key_id, q);
        return msfl_fail(MSFL_ERR_MISMATCH, "%s is encrypted under the key %s, %s under %s", name_a, p, name_b, q);
    }
    const char *what = content_difference(&a->info.content, &b->info.content);
    if (what == NULL && a->info.round != b->info.round) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s is of round %llu, %s of round %llu", name_a,
                         (unsigned long long)a->info.round, name_b, (unsigned long long)b->info.round);
    }
    if (what == NULL) what = "their parameters differ";
    return msfl_fail(MSFL_ERR_MISMATCH, "%s and %s cannot be added: %s", name_a, name_b, what);
}
