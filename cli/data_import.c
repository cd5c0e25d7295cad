/* medsecurefl data import, data recipe, data key. */
#include "base/error.h"
#include "cmd.h"
#include "cmd_data.h"
#include "columns.h"
#include "medsecurefl/import.h"
#include "medsecurefl/simulate.h"
#include "terminal.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>

static long long whole(const json_t *object, const char *key) {
    return (long long)json_integer_value(json_object_get(object, key));
}

static void print_text(const json_t *value) {
    cli_print_safely(stdout, json_is_string(value) ? json_string_value(value) : "?");
}

static void print_import(const json_t *m, const char *out) {
    printf("set         ");
    cli_print_safely(stdout, out);
    const json_t *range = json_object_get(m, "range"), *source = json_object_get(m, "source"), *v;
    const bool volumes = json_object_get(m, "depth") != NULL;
    printf("%s\n%s %lld of %lld samples, ", json_is_true(json_object_get(m, "unchanged")) ? " (unchanged)" : "",
           volumes ? "volumes    " : "pictures   ", whole(m, "images"), whole(m, "samples"));
    if (volumes) printf("%lld slices of ", whole(m, "depth"));
    printf("%lld x %lld x %lld of %lld bits, %g to %g\n", whole(m, "width"), whole(m, "height"), whole(m, "channels"),
           whole(m, "bits"), json_number_value(json_array_get(range, 0)), json_number_value(json_array_get(range, 1)));
    printf("recipe      ");
    print_text(json_object_get(m, "recipe_hash"));
    printf(", laterality ");
    print_text(json_object_get(m, "laterality"));
    printf("\nclasses     ");
    size_t i;
    json_array_foreach(json_object_get(m, "classes"), i, v) {
        if (i > 0) printf(", ");
        if (i == 12) {
            printf("...");
            break;
        }
        print_text(v);
    }
    printf("; by ");
    print_text(json_object_get(m, "label_key"));
    if (json_is_string(json_object_get(m, "patient_key"))) {
        printf("\npatients    %lld, by ", whole(m, "patients"));
        print_text(json_object_get(m, "patient_key"));
    } else {
        printf("\npatients    unknown; every sample stands alone");
    }
    printf("\nleft out    %lld broken, %lld without a label, %lld without a file they need, %lld other files\n",
           whole(source, "skipped"), whole(source, "unlabelled"), whole(source, "incomplete"),
           whole(source, "ignored"));
    if (!json_is_true(json_object_get(m, "unchanged"))) printf("from cache  %lld samples\n", whole(m, "from_cache"));
    json_array_foreach(json_object_get(m, "warnings"), i, v) {
        printf("warning: ");
        print_text(v);
        putchar('\n');
    }
}

msfl_status cli_data_import(int argc, char **argv) {
    msfl_import_options o = {.seed = 1};
    const char *words[2] = {NULL};
    size_t n_words = 0;
    bool json = false, quiet = false;
    const cli_option options[] = {{"data", CLI_TEXT, &o.data, 0, 0},
                                  {"recipe", CLI_TEXT, &o.recipe, 0, 0},
                                  {"labels", CLI_TEXT, &o.labels, 0, 0},
                                  {"label", CLI_TEXT, &o.label, 0, 0},
                                  {"patient", CLI_TEXT, &o.patient, 0, 0},
                                  {"masks", CLI_TEXT, &o.masks, 0, 0},
                                  {"out", CLI_TEXT, &o.out, 0, 0, "o"},
                                  {"key", CLI_TEXT, &o.key, 0, 0},
                                  {"cache", CLI_TEXT, &o.cache, 0, 0},
                                  {"no-cache", CLI_FLAG, &o.no_cache, 0, 0},
                                  {"seal", CLI_FLAG, &o.seal, 0, 0},
                                  {"allow-burned-in", CLI_FLAG, &o.allow_burned_in, 0, 0},
                                  {"refuse-bad", CLI_FLAG, &o.refuse_bad, 0, 0},
                                  {"seed", CLI_U64, &o.seed, 0, 0x1p53},
                                  {"threads", CLI_U32, &o.n_threads, 0, 256},
                                  {"quiet", CLI_FLAG, &quiet, 0, 0},
                                  {"json", CLI_FLAG, &json, 0, 0},
                                  {0}};
    msfl_status status = cli_parse(argc, argv, options, words, 2, &n_words);
    if (status != MSFL_OK) return status;
    if (n_words == 2 || (n_words == 1 && o.data != NULL)) {
        return msfl_fail(MSFL_ERR_USAGE, "too many words: '%s'", words[n_words - 1]);
    }
    if (n_words == 1) o.data = words[0];
    if (o.data == NULL || o.recipe == NULL || o.out == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "needed are: data import DIR --recipe R.yaml --out SET");
    }
    cli_terminal *terminal = cli_terminal_new(NULL, 0, quiet);
    const msfl_observer observer = {.observe = cli_terminal_observe, .ctx = terminal, .cancel = cli_cancel_flag()};
    o.observer = &observer;
    char *text = NULL;
    status = msfl_import(&o, &text);
    cli_terminal_free(terminal);
    if (status == MSFL_ERR_CANCELLED) {
        return msfl_fail(status, "stopped; %s",
                         o.no_cache ? "without a cache nothing is kept"
                                    : "what was done is in the cache, and the same import again goes on from there");
    }
    if (status != MSFL_OK) return status;
    json_t *manifest = NULL;
    if (json) {
        puts(text);
    } else {
        status = msfl_json_parse("the manifest", text, strlen(text), SIZE_MAX, &manifest);
        if (status == MSFL_OK) print_import(manifest, o.out);
        json_decref(manifest);
    }
    msfl_text_free(text);
    return status;
}

/* Names of columns stand in it. */
static void print_lines(const char *text) {
    while (*text != 0) {
        char line[1024];
        size_t n = strcspn(text, "\n"), kept = n < sizeof line ? n : sizeof line - 1;
        memcpy(line, text, kept);
        line[kept] = 0;
        cli_print_safely(stdout, line);
        putchar('\n');
        text += text[n] == 0 ? n : n + 1;
    }
}

msfl_status cli_data_recipe(int argc, char **argv) {
    const char *file = NULL;
    size_t n = 0;
    bool json = false;
    const cli_option options[] = {{"json", CLI_FLAG, &json, 0, 0}, {0}};
    msfl_status status = cli_parse(argc, argv, options, &file, 1, &n);
    if (status != MSFL_OK) return status;
    if (n == 0) return msfl_fail(MSFL_ERR_USAGE, "name a recipe: data recipe R.yaml");
    char *text = NULL;
    status = msfl_recipe_describe(file, &text);
    if (status != MSFL_OK) return status;
    json_t *recipe = NULL;
    if (json) {
        puts(text);
    } else {
        status = msfl_json_parse("the recipe", text, strlen(text), SIZE_MAX, &recipe);
        if (status == MSFL_OK) {
            printf("# hash %s\n", json_string_value(json_object_get(recipe, "hash")));
            print_lines(json_string_value(json_object_get(recipe, "text")));
        }
        json_decref(recipe);
    }
    msfl_text_free(text);
    return status;
}

msfl_status cli_data_key(int argc, char **argv) {
    const char *file = NULL;
    size_t n = 0;
    const cli_option options[] = {{0}};
    msfl_status status = cli_parse(argc, argv, options, &file, 1, &n);
    if (status != MSFL_OK) return status;
    if (n == 0) return msfl_fail(MSFL_ERR_USAGE, "say where the key is to go: data key FILE");
    status = msfl_hospital_key_new(file);
    if (status != MSFL_OK) return status;
    fprintf(stderr,
            "%s: the hospital's key. It must not leave the hospital, nor lie with the data; keep a copy, since sealed "
            "sets are lost without it\n",
            file);
    return MSFL_OK;
}
