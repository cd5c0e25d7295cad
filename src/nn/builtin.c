/* The networks that come with the program. */
#include "nn/arch.h"

#include <string.h>

/* Group normalisation, so that a hospital's statistics neither travel nor mix, and small batches do no harm. */
static const char cnn_small[] = "name: cnn-small\n"
                                "input: {height: 64, width: 64, channels: 1}\n"
                                "classes: 2\n"
                                "layers:\n"
                                "  - conv: {filters: 16, kernel: 3, padding: same, bias: false}\n"
                                "  - max_pool\n"
                                "  - group_norm: {groups: 4, activation: relu}\n"
                                "  - conv: {filters: 32, kernel: 3, padding: same, bias: false}\n"
                                "  - max_pool\n"
                                "  - group_norm: {groups: 4, activation: relu}\n"
                                "  - conv: {filters: 32, kernel: 3, padding: same, bias: false}\n"
                                "  - max_pool\n"
                                "  - group_norm: {groups: 4, activation: relu}\n"
                                "  - conv: {filters: 32, kernel: 3, padding: same, bias: false}\n"
                                "  - group_norm: {groups: 4, activation: relu}\n"
                                "  - max_pool\n"
                                "  - flatten\n"
                                "  - dropout: {rate: 0.3}\n"
                                "  - dense: {units: classes}\n";

/* The same, twice to four times as wide, for more classes and more images. */
static const char cnn_wide[] = "name: cnn-wide\n"
                               "input: {height: 64, width: 64, channels: 1}\n"
                               "classes: 2\n"
                               "layers:\n"
                               "  - conv: {filters: 32, kernel: 3, padding: same, bias: false}\n"
                               "  - max_pool\n"
                               "  - group_norm: {groups: 8, activation: relu}\n"
                               "  - conv: {filters: 64, kernel: 3, padding: same, bias: false}\n"
                               "  - max_pool\n"
                               "  - group_norm: {groups: 8, activation: relu}\n"
                               "  - conv: {filters: 96, kernel: 3, padding: same, bias: false}\n"
                               "  - max_pool\n"
                               "  - group_norm: {groups: 8, activation: relu}\n"
                               "  - conv: {filters: 128, kernel: 3, padding: same, bias: false}\n"
                               "  - group_norm: {groups: 8, activation: relu}\n"
                               "  - max_pool\n"
                               "  - flatten\n"
                               "  - dropout: {rate: 0.4}\n"
                               "  - dense: {units: classes}\n";

/* The network of the MedSecureFL publication: 222,722 values. */
static const char medsecurefl_2022[] = "name: medsecurefl-2022\n"
                                       "input: {height: 256, width: 256, channels: 3}\n"
                                       "classes: 2\n"
                                       "layers:\n"
                                       "  - conv: {filters: 32, kernel: 3, activation: relu}\n"
                                       "  - max_pool\n"
                                       "  - conv: {filters: 32, kernel: 3, activation: relu}\n"
                                       "  - max_pool\n"
                                       "  - conv: {filters: 32, kernel: 3, activation: relu}\n"
                                       "  - max_pool\n"
                                       "  - conv: {filters: 64, kernel: 3, activation: relu}\n"
                                       "  - max_pool\n"
                                       "  - conv: {filters: 64, kernel: 3, activation: relu}\n"
                                       "  - max_pool\n"
                                       "  - conv: {filters: 128, kernel: 3, activation: relu}\n"
                                       "  - max_pool\n"
                                       "  - flatten\n"
                                       "  - dense: {units: 128, activation: relu}\n"
                                       "  - dense: {units: 64, activation: relu}\n"
                                       "  - dense: {units: classes}\n";

/* A residual block (He et al. 2015) with group normalisation. The shortcut of the second kind is a convolution, since
 * the block halves the image or changes the number of channels. */
#define CONV(filters, kernel, stride)                                                                                  \
    "  - conv: {filters: " #filters ", kernel: " #kernel ", stride: " #stride ", padding: same, bias: false}\n"
#define NORM(groups) "  - group_norm: {groups: " #groups ", activation: relu}\n"
#define BLOCK(in, out, filters, groups)                                                                                \
    CONV(filters, 3, 1)                                                                                                \
    NORM(groups)                                                                                                       \
    CONV(filters, 3, 1)                                                                                                \
    "  - group_norm: {groups: " #groups "}\n"                                                                          \
    "  - add: {with: " #in ", activation: relu, name: " #out "}\n"
#define BLOCK_DOWN(in, out, filters, groups, stride)                                                                   \
    CONV(filters, 3, stride)                                                                                           \
    NORM(groups)                                                                                                       \
    CONV(filters, 3, 1)                                                                                                \
    "  - group_norm: {groups: " #groups ", name: " #out "-path}\n"                                                     \
    "  - conv: {from: " #in ", filters: " #filters ", kernel: 1, stride: " #stride ", padding: same, bias: false}\n"   \
    "  - group_norm: {groups: " #groups "}\n"                                                                          \
    "  - add: {with: " #out "-path, activation: relu, name: " #out "}\n"

static const char resnet8[] =
    "name: resnet8\n"
    "input: {height: 64, width: 64, channels: 1}\n"
    "classes: 2\n"
    "layers:\n"
    "  - conv: {filters: 16, kernel: 3, padding: same, bias: false}\n"
    "  - group_norm: {groups: 4, activation: relu, name: stem}\n" BLOCK(stem, block1, 16, 4)
        BLOCK_DOWN(block1, block2, 32, 8, 2) BLOCK_DOWN(block2, block3, 64, 8, 2) "  - global_avg_pool\n"
                                                                                  "  - dense: {units: classes}\n";

static const char resnet18[] =
    "name: resnet18\n"
    "input: {height: 224, width: 224, channels: 1}\n"
    "classes: 2\n"
    "layers:\n" CONV(64, 7, 2) NORM(8) "  - max_pool: {size: 3, stride: 2, name: stem}\n" BLOCK(stem, block1, 64, 8)
        BLOCK(block1, block2, 64, 8) BLOCK_DOWN(block2, block3, 128, 8, 2) BLOCK(block3, block4, 128, 8)
            BLOCK_DOWN(block4, block5, 256, 16, 2) BLOCK(block5, block6, 256, 16) BLOCK_DOWN(block6, block7, 512, 16, 2)
                BLOCK(block7, block8, 512, 16) "  - global_avg_pool\n"
                                               "  - dense: {units: classes}\n";

/* Two convolutions; the second is named. */
#define DOUBLE(name, filters, groups)                                                                                  \
    CONV(filters, 3, 1)                                                                                                \
    NORM(groups) CONV(filters, 3, 1) "  - group_norm: {groups: " #groups ", activation: relu, name: " #name "}\n"

/* U-Net (Ronneberger et al. 2015) with three halvings, nearest-neighbour doubling and group normalisation. Sides must
 * be multiples of 8. */
static const char unet2d[] =
    "name: unet2d\n"
    "input: {height: 64, width: 64, channels: 1}\n"
    "classes: 2\n"
    "layers:\n" DOUBLE(down1, 16, 4) "  - max_pool\n" DOUBLE(down2, 32, 4) "  - max_pool\n" DOUBLE(
        down3, 64, 8) "  - max_pool\n" DOUBLE(bottom, 128,
                                              8) "  - upsample\n"
                                                 "  - concat: {with: down3}\n" DOUBLE(
                                                     up3, 64,
                                                     8) "  - upsample\n"
                                                        "  - concat: {with: down2}\n" DOUBLE(
                                                            up2, 32,
                                                            4) "  - upsample\n"
                                                               "  - concat: {with: down1}\n" DOUBLE(
                                                                   up1, 16,
                                                                   4) "  - conv: {filters: classes, kernel: 1}\n";

/* The same for volumes, half as wide: eight times as many voxels meet in every window. */
static const char unet3d[] =
    "name: unet3d\n"
    "input: {depth: 32, height: 32, width: 32, channels: 1}\n"
    "classes: 2\n"
    "layers:\n" DOUBLE(down1, 8, 4) "  - max_pool\n" DOUBLE(down2, 16, 4) "  - max_pool\n" DOUBLE(
        down3, 32,
        4) "  - max_pool\n" DOUBLE(bottom, 64,
                                   8) "  - upsample\n"
                                      "  - concat: {with: down3}\n" DOUBLE(
                                          up3, 32, 4) "  - upsample\n"
                                                      "  - concat: {with: down2}\n" DOUBLE(
                                                          up2, 16,
                                                          4) "  - upsample\n"
                                                             "  - concat: {with: down1}\n" DOUBLE(
                                                                 up1, 8, 4) "  - conv: {filters: classes, kernel: 1}\n";

static const struct {
    const char *name, *yaml;
} builtins[] = {{"cnn-small", cnn_small}, {"cnn-wide", cnn_wide}, {"medsecurefl-2022", medsecurefl_2022},
                {"resnet8", resnet8},     {"resnet18", resnet18}, {"unet2d", unet2d},
                {"unet3d", unet3d}};

const char *nn_builtin(const char *name) {
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++) {
        if (strcmp(builtins[i].name, name) == 0) return builtins[i].yaml;
    }
    return NULL;
}

const char *nn_builtin_names(void) {
    return "cnn-small, cnn-wide, medsecurefl-2022, resnet8, resnet18, unet2d, unet3d";
}
