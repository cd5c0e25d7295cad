#include "base/error.h"
#include "base/mem.h"
#include "cmd.h"
#include "columns.h"
#include "medsecurefl/simulate.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>

static void print_class(const json_t *v) {
    if (json_is_string(v)) {
        cli_print_safely(stdout, json_string_value(v)); /* the model's names, which somebody else chose */
    } else {
        printf("class %lld", (long long)json_integer_value(v));
    }
}

static void print_structures(const json_t *list) {
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one) {
        const json_t *ml = json_object_get(one, "millilitres");
        printf("%s", i == 0 ? "" : "\t");
        print_class(json_object_get(one, "class"));
        printf(" %lld voxels", (long long)json_integer_value(json_object_get(one, "voxels")));
        if (ml != NULL) printf(" (%.3f ml)", json_real_value(ml));
    }
    printf("\n");
}

static void print_lines(const json_t *list) {
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one) {
        const char *error = json_string_value(json_object_get(one, "error"));
        if (error != NULL) {
            fprintf(stderr, "medsecurefl predict: ");
            cli_print_safely(stderr, error);
            fputc('\n', stderr);
            continue;
        }
        cli_print_safely(stdout, json_string_value(json_object_get(one, "file")));
        putchar('\t');
        const json_t *structures = json_object_get(one, "structures");
        if (structures != NULL) {
            print_structures(structures);
            continue;
        }
        print_class(json_object_get(one, "class"));
        printf("\t%.4f\n", json_number_value(json_object_get(one, "probability")));
    }
}

msfl_status cmd_predict(int argc, char **argv) {
    const char *model = NULL, *recipe = NULL;
    bool json = false, any_recipe = false;
    size_t n = 0, n_failed = 0;
    const cli_option options[] = {{"model", CLI_TEXT, &model, 0, 0},
                                  {"recipe", CLI_TEXT, &recipe, 0, 0},
                                  {"any-recipe", CLI_FLAG, &any_recipe, 0, 0},
                                  {"json", CLI_FLAG, &json, 0, 0},
                                  {0}};
    const char **files = msfl_alloc((size_t)argc + 1, sizeof *files);
    if (files == NULL) return MSFL_ERR_MEMORY;
    char *text = NULL;
    msfl_status status = cli_parse(argc, argv, options, files, (size_t)argc, &n);
    if (status == MSFL_OK && (model == NULL || n == 0)) {
        status = msfl_fail(MSFL_ERR_USAGE, "both are needed: --model FILE.h5 and at least one image file");
    }
    if (status == MSFL_OK) status = msfl_predict_files_by(model, recipe, any_recipe, files, n, &n_failed, &text);
    if (status == MSFL_OK && json) {
        puts(text);
    } else if (status == MSFL_OK) {
        json_t *list;
        status = msfl_json_parse("the result", text, strlen(text), SIZE_MAX, &list);
        if (status == MSFL_OK) {
            print_lines(list);
            json_decref(list);
        }
    }
    if (status == MSFL_OK && n_failed > 0) {
        status = msfl_fail(MSFL_ERR_DATA, "%zu of %zu files could not be read", n_failed, n);
    }
    msfl_free(files);
    msfl_text_free(text);
    return status;
}
