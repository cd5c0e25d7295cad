#include "client/site.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "text/yaml.h"

#include <string.h>

void client_site_clear(client_site *s) {
    msfl_free(s->path);
    msfl_free(s->label);
    msfl_free(s->key);
    msfl_free(s->share.partition);
    for (uint32_t i = 0; i < s->trainer.n_command; i++)
        msfl_free(s->trainer.command[i]);
    for (uint32_t i = 0; i < s->trainer.n_environment; i++)
        msfl_free(s->trainer.environment[i]);
    for (uint32_t i = 0; i < s->trainer.n_read; i++)
        msfl_free(s->trainer.read[i]);
    memset(s, 0, sizeof *s);
}

static msfl_status text_of(const char *name, const msfl_yaml *node, const char *what, char **out) {
    if (node == NULL) return MSFL_OK;
    if (node->kind != MSFL_YAML_SCALAR || node->text[0] == 0) return msfl_yaml_fail(name, node, "%s is a text", what);
    *out = msfl_strdup(node->text);
    return *out == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

static msfl_status number(const char *name, const msfl_yaml *map, const char *key, uint32_t min, uint32_t max,
                          uint32_t *out) {
    const msfl_yaml *node = msfl_yaml_get(map, key);
    return node == NULL ? MSFL_OK : msfl_yaml_u32(name, node, key, min, max, out);
}

static msfl_status flag(const char *name, const msfl_yaml *map, const char *key, bool *out) {
    const msfl_yaml *node = msfl_yaml_get(map, key);
    return node == NULL ? MSFL_OK : msfl_yaml_bool(name, node, key, out);
}

static msfl_status read_share(const char *name, const msfl_yaml *map, client_share *s) {
    static const char *const keys[] = {"of", "index", "partition", "seed", NULL};
    if (map == NULL) return MSFL_OK;
    msfl_status status = msfl_yaml_only(name, map, keys);
    if (status != MSFL_OK) return status;
    if (msfl_yaml_get(map, "of") == NULL || msfl_yaml_get(map, "index") == NULL) {
        return msfl_yaml_fail(name, map, "share takes of (how many hospitals) and index (from 0)");
    }
    uint32_t seed = 1;
    status = number(name, map, "of", 1, CLIENT_SHARES_MAX, &s->of);
    if (status == MSFL_OK) status = number(name, map, "index", 0, s->of - 1, &s->index);
    if (status == MSFL_OK) status = number(name, map, "seed", 0, UINT32_MAX, &seed);
    if (status == MSFL_OK) status = text_of(name, msfl_yaml_get(map, "partition"), "partition", &s->partition);
    if (status == MSFL_OK && s->partition == NULL) {
        s->partition = msfl_strdup("iid");
        if (s->partition == NULL) status = MSFL_NO_MEMORY;
    }
    s->seed = seed;
    return status;
}

static msfl_status read_data(const char *name, const msfl_yaml *map, client_site *s) {
    static const char *const keys[] = {"path",           "label", "key",        "refuse_bad",
                                       "phantom_images", "share", "laterality", NULL};
    static const char *const lateralities[] = {"matters", "irrelevant", "unoriented", NULL};
    const msfl_yaml *laterality = NULL;
    uint32_t k = 0;
    if (map == NULL) return MSFL_OK;
    msfl_status status = msfl_yaml_only(name, map, keys);
    if (status == MSFL_OK && msfl_yaml_get(map, "path") == NULL) {
        status = msfl_yaml_fail(name, map, "data needs a path: a folder of images or an .npz file");
    }
    if (status == MSFL_OK) status = text_of(name, msfl_yaml_get(map, "path"), "path", &s->path);
    if (status == MSFL_OK) status = text_of(name, msfl_yaml_get(map, "label"), "label", &s->label);
    if (status == MSFL_OK) status = text_of(name, msfl_yaml_get(map, "key"), "key", &s->key);
    if (status == MSFL_OK) laterality = msfl_yaml_get(map, "laterality");
    if (laterality != NULL) {
        status = msfl_yaml_choice(name, laterality, "laterality", lateralities, &k);
        if (status == MSFL_OK) s->laterality = msfl_laterality_of(lateralities[k]);
    }
    if (status == MSFL_OK) status = flag(name, map, "refuse_bad", &s->refuse_bad);
    if (status == MSFL_OK) status = number(name, map, "phantom_images", 20, 1000000, &s->phantom_images);
    if (status == MSFL_OK) status = read_share(name, msfl_yaml_get(map, "share"), &s->share);
    return status;
}

static bool is_variable(const char *key) {
    for (const char *at = key; *at != 0; at++) {
        bool letter = (*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z') || *at == '_';
        if (!letter && !(at != key && *at >= '0' && *at <= '9')) return false;
    }
    return key[0] != 0;
}

static msfl_status read_command(const char *name, const msfl_yaml *list, client_trainer *t) {
    if (list == NULL || list->kind != MSFL_YAML_SEQUENCE || list->n == 0 || list->n > CLIENT_WORDS_MAX) {
        return msfl_yaml_fail(name, list,
                              "command is a list of 1 to %d words, the program first: [/usr/bin/python3, "
                              "train.py]; no shell reads it",
                              CLIENT_WORDS_MAX);
    }
    for (const msfl_yaml *at = list->first; at != NULL; at = at->next) {
        msfl_status status = text_of(name, at, "a word of command", &t->command[t->n_command]);
        if (status != MSFL_OK) return status;
        t->n_command++;
    }
    if (t->command[0][0] != '/') {
        return msfl_yaml_fail(name, list, "the program is named by its whole path: /usr/bin/python3 say");
    }
    return MSFL_OK;
}

static msfl_status read_environment(const char *name, const msfl_yaml *map, client_trainer *t) {
    if (map == NULL) return MSFL_OK;
    if (map->kind != MSFL_YAML_MAPPING || map->n > CLIENT_WORDS_MAX) {
        return msfl_yaml_fail(name, map, "environment is a mapping of at most %d names to texts", CLIENT_WORDS_MAX);
    }
    for (const msfl_yaml *at = map->first; at != NULL; at = at->next) {
        if (at->kind != MSFL_YAML_SCALAR || !is_variable(at->key)) {
            return msfl_yaml_fail(name, at, "'%s' is no name of a variable with a text", at->key);
        }
        t->environment[t->n_environment] = msfl_format("%s=%s", at->key, at->text);
        if (t->environment[t->n_environment] == NULL) return MSFL_NO_MEMORY;
        t->n_environment++;
    }
    return MSFL_OK;
}

static msfl_status read_paths(const char *name, const msfl_yaml *list, client_trainer *t) {
    if (list == NULL) return MSFL_OK;
    if (list->kind != MSFL_YAML_SEQUENCE || list->n > CLIENT_WORDS_MAX) {
        return msfl_yaml_fail(name, list, "read is a list of at most %d paths", CLIENT_WORDS_MAX);
    }
    for (const msfl_yaml *at = list->first; at != NULL; at = at->next) {
        msfl_status status = text_of(name, at, "a path of read", &t->read[t->n_read]);
        if (status != MSFL_OK) return status;
        t->n_read++;
    }
    return MSFL_OK;
}

static msfl_status read_trainer(const char *name, const msfl_yaml *map, client_trainer *t) {
    static const char *const keys[] = {"command",     "format",  "timeout_s", "memory_mb", "output_mb",
                                       "environment", "network", "read",      NULL};
    static const char *const formats[] = {"npz", "h5", NULL};
    if (map == NULL) return MSFL_OK;
    uint32_t format = CLIENT_NPZ;
    msfl_status status = msfl_yaml_only(name, map, keys);
    if (status == MSFL_OK && msfl_yaml_get(map, "command") == NULL) {
        status = msfl_yaml_fail(name, map, "trainer needs a command");
    }
    if (status == MSFL_OK) status = read_command(name, msfl_yaml_get(map, "command"), t);
    if (status == MSFL_OK) status = read_environment(name, msfl_yaml_get(map, "environment"), t);
    if (status == MSFL_OK) status = read_paths(name, msfl_yaml_get(map, "read"), t);
    if (status == MSFL_OK && msfl_yaml_get(map, "format") != NULL) {
        status = msfl_yaml_choice(name, msfl_yaml_get(map, "format"), "format", formats, &format);
    }
    if (status == MSFL_OK) status = number(name, map, "timeout_s", 1, CLIENT_TRAINER_S_MAX, &t->timeout_s);
    if (status == MSFL_OK) status = number(name, map, "memory_mb", 0, CLIENT_MEMORY_MB_MAX, &t->memory_mb);
    if (status == MSFL_OK) status = number(name, map, "output_mb", 1, CLIENT_MEMORY_MB_MAX, &t->output_mb);
    if (status == MSFL_OK) status = flag(name, map, "network", &t->network);
    t->format = (client_format)format;
    return status;
}

msfl_status client_site_parse(const char *name, const char *text, size_t length, client_site *out) {
    static const char *const keys[] = {"data", "trainer", "threads", NULL};
    *out = (client_site){.trainer = {.timeout_s = 3600, .output_mb = 4096}};
    msfl_yaml *root;
    msfl_status status = msfl_yaml_parse(name, text, length, &root);
    if (status != MSFL_OK) return status;
    status = msfl_yaml_only(name, root, keys);
    if (status == MSFL_OK) status = read_data(name, msfl_yaml_get(root, "data"), out);
    if (status == MSFL_OK) status = read_trainer(name, msfl_yaml_get(root, "trainer"), &out->trainer);
    if (status == MSFL_OK) status = number(name, root, "threads", 0, 256, &out->n_threads);
    if (status == MSFL_OK && out->path == NULL && out->trainer.n_command == 0) {
        status = msfl_yaml_fail(name, root, "neither data nor a trainer is named: nothing could be trained");
    }
    msfl_yaml_free(root);
    return status;
}

msfl_status client_site_read(const char *folder, client_site *out) {
    uint8_t *text = NULL;
    size_t length;
    *out = (client_site){0};
    char *path = msfl_path_join(folder, CLIENT_FILE_SITE);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_file_read(path, MSFL_YAML_BYTES_MAX, &text, &length);
    if (status == MSFL_ERR_MISSING) {
        status = msfl_fail(MSFL_ERR_MISSING,
                           "%s is not there: write into it where this hospital's images are, such as "
                           "data: {path: /data/chest}",
                           path);
    } else if (status == MSFL_OK) {
        status = client_site_parse(path, (const char *)text, length, out);
    }
    msfl_free(text);
    msfl_free(path);
    return status;
}
