/* medsecurefl model: look at networks and model files, or make an initial one. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "cmd.h"
#include "columns.h"
#include "medsecurefl/model.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>

/* What is shown: a network, and what a model file says besides. */
typedef struct subject {
    const char *source;
    msfl_model *model;
    float *weights; /* NULL: the network only */
    msfl_model_extra extra;
} subject;

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_model_file(const char *path) {
    uint8_t start[4] = {0};
    FILE *f;
    if (msfl_file_open(path, &f) != MSFL_OK) return ends_in(path, ".h5"); /* a pipe would keep us waiting */
    size_t n = fread(start, 1, sizeof start, f);
    fclose(f);
    return (n == sizeof start && memcmp(start, "\x89HDF", 4) == 0) || ends_in(path, ".h5");
}

static void print_table(const subject *s) {
    const msfl_model_info *info = msfl_model_info_borrow(s->model);
    cli_print_safely(stdout, info->name);
    printf(": ");
    if (info->is_volume) printf("%u x ", info->depth);
    printf("%u x %u x %u -> %u classes\n\n", info->height, info->width, info->channels, info->n_classes);
    for (uint32_t i = 0; i < info->n_layers; i++) {
        printf("%4u  ", i + 1);
        cli_print_safely(stdout, msfl_model_layer_text(s->model, i));
        putchar('\n');
    }
    printf("\n%llu values in %u tensors, %llu of them trained; %llu bytes as float32\n",
           (unsigned long long)info->n_values, info->n_tensors, (unsigned long long)info->n_trainable,
           (unsigned long long)info->n_values * 4);
    uint8_t hash[MSFL_HASH_BYTES];
    char text[2 * MSFL_HASH_BYTES + 1];
    msfl_model_hash(s->model, hash);
    msfl_hex(hash, sizeof hash, text);
    printf("architecture %s\n", text);
    if (s->extra.class_names != NULL) {
        printf("classes");
        for (uint32_t c = 0; c < s->extra.n_classes; c++) {
            printf(c == 0 ? " " : ", ");
            cli_print_safely(stdout, s->extra.class_names[c]);
        }
        printf("\n");
    }
    if (s->extra.normalise != NULL) {
        printf("pixels normalised by ");
        cli_print_safely(stdout, s->extra.normalise);
        putchar('\n');
    }
    if (s->extra.recipe != NULL) {
        printf("pictures by recipe %s", s->extra.recipe);
        if (s->extra.recipe_name != NULL) {
            printf(", ");
            cli_print_safely(stdout, s->extra.recipe_name);
        }
        putchar('\n');
    }
    printf("%s\n", s->weights != NULL ? "with weights" : "without weights");
}

static json_t *tensor_json(const msfl_tensor *t) {
    json_t *shape = json_array();
    for (uint32_t d = 0; d < t->rank; d++)
        json_array_append_new(shape, json_integer(t->shape[d]));
    return json_pack("{s:s,s:s,s:o,s:b,s:I}", "layer", t->layer, "name", t->name, "shape", shape, "trained",
                     t->role == MSFL_TENSOR_WEIGHT, "offset", (json_int_t)t->offset);
}

static msfl_status print_json(const subject *s) {
    const msfl_model_info *info = msfl_model_info_borrow(s->model);
    uint8_t hash[MSFL_HASH_BYTES];
    char hex[2 * MSFL_HASH_BYTES + 1];
    msfl_model_hash(s->model, hash);
    msfl_hex(hash, sizeof hash, hex);
    json_t *layers = json_array(), *tensors = json_array(), *names = json_null();
    for (uint32_t i = 0; i < info->n_layers; i++)
        json_array_append_new(layers, msfl_json_string(msfl_model_layer_text(s->model, i)));
    for (uint32_t i = 0; i < info->n_tensors; i++)
        json_array_append_new(tensors, tensor_json(msfl_model_tensor(s->model, i)));
    if (s->extra.class_names != NULL) {
        names = json_array();
        for (uint32_t c = 0; c < s->extra.n_classes; c++)
            json_array_append_new(names, msfl_json_string(s->extra.class_names[c]));
    }
    json_t *root =
        json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:b,s:o,s:s?,s:s?,s:s?,s:o,s:o}", "source", s->source, "name",
                  info->name, "height", (json_int_t)info->height, "width", (json_int_t)info->width, "channels",
                  (json_int_t)info->channels, "n_classes", (json_int_t)info->n_classes, "n_values",
                  (json_int_t)info->n_values, "n_trainable", (json_int_t)info->n_trainable, "hash", hex, "has_weights",
                  s->weights != NULL, "class_names", names, "normalise", s->extra.normalise, "recipe", s->extra.recipe,
                  "recipe_name", s->extra.recipe_name, "layers", layers, "tensors", tensors);
    if (root != NULL && info->is_volume) json_object_set_new(root, "depth", json_integer(info->depth));
    if (root == NULL) return msfl_fail(MSFL_ERR_MEMORY, "out of memory, or a name that is not UTF-8");
    char *text;
    msfl_status status = msfl_json_text(root, false, &text);
    json_decref(root);
    if (status == MSFL_OK) {
        puts(text);
        msfl_free(text);
    }
    return status;
}

static msfl_status run_info(int argc, char **argv) {
    bool json = false, yaml = false;
    uint32_t depth = 0, height = 0, width = 0, channels = 0, classes = 0;
    const cli_option options[] = {{"json", CLI_FLAG, &json, 0, 0},         {"yaml", CLI_FLAG, &yaml, 0, 0},
                                  {"depth", CLI_U32, &depth, 2, 4096},     {"height", CLI_U32, &height, 1, 4096},
                                  {"width", CLI_U32, &width, 1, 4096},     {"channels", CLI_U32, &channels, 1, 8192},
                                  {"classes", CLI_U32, &classes, 2, 1024}, {0}};
    subject s = {0};
    size_t n;
    msfl_status status = cli_parse(argc, argv, options, &s.source, 1, &n);
    if (status != MSFL_OK) return status;
    if (n != 1) return msfl_fail(MSFL_ERR_USAGE, "model info takes a model file, a description or a name; see --help");
    if (is_model_file(s.source)) {
        if (depth != 0 || height != 0 || width != 0 || channels != 0 || classes != 0) {
            return msfl_fail(MSFL_ERR_USAGE, "the sizes of a model file are fixed");
        }
        status = msfl_model_load(s.source, &s.model, &s.weights, &s.extra);
    } else {
        status = msfl_model_new_volume(s.source, depth, height, width, channels, classes, &s.model);
    }
    if (status == MSFL_OK && json) {
        status = print_json(&s);
    } else if (status == MSFL_OK && yaml) {
        fputs(msfl_model_yaml(s.model), stdout);
    } else if (status == MSFL_OK) {
        print_table(&s);
    }
    msfl_model_extra_clear(&s.extra);
    msfl_floats_free(s.weights);
    msfl_model_free(s.model);
    return status;
}

static msfl_status run_init(int argc, char **argv) {
    uint32_t depth = 0, height = 0, width = 0, channels = 0, classes = 0;
    uint64_t seed = 1;
    const char *out = NULL, *source = NULL;
    const cli_option options[] = {
        {"out", CLI_TEXT, &out, 0, 0},           {"seed", CLI_U64, &seed, 0, 9007199254740992.0},
        {"depth", CLI_U32, &depth, 2, 4096},     {"height", CLI_U32, &height, 1, 4096},
        {"width", CLI_U32, &width, 1, 4096},     {"channels", CLI_U32, &channels, 1, 8192},
        {"classes", CLI_U32, &classes, 2, 1024}, {0}};
    size_t n;
    msfl_status status = cli_parse(argc, argv, options, &source, 1, &n);
    if (status != MSFL_OK) return status;
    if (n != 1 || out == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "model init takes a description or a name, and --out FILE.h5; see --help");
    }
    msfl_model *model;
    status = msfl_model_new_volume(source, depth, height, width, channels, classes, &model);
    if (status != MSFL_OK) return status;
    float *weights = msfl_alloc(msfl_model_info_borrow(model)->n_values, sizeof *weights);
    if (weights == NULL) {
        status = MSFL_ERR_MEMORY;
    } else {
        msfl_model_init(model, seed, weights);
        status = msfl_model_save(out, model, weights, NULL);
    }
    msfl_free(weights);
    msfl_model_free(model);
    return status;
}

msfl_status cmd_model(int argc, char **argv) {
    if (argc > 0 && strcmp(argv[0], "info") == 0) return run_info(argc - 1, argv + 1);
    if (argc > 0 && strcmp(argv[0], "init") == 0) return run_init(argc - 1, argv + 1);
    return msfl_fail(MSFL_ERR_USAGE, "'model' has the parts info and init; see medsecurefl model --help");
}
