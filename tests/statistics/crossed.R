# Variance components of crossed parts of the seed by REML (lme4), the settings' own effects fixed.
# Argument: a folder with runs.csv (setting, init, order, y), several settings; writes found.csv.
suppressPackageStartupMessages(library(lme4))
folder <- commandArgs(trailingOnly = TRUE)[1]
runs <- read.csv(file.path(folder, "runs.csv"))
for (name in c("setting", "init", "order")) runs[[name]] <- factor(runs[[name]])
control <- lmerControl(optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-14), check.conv.singular = "ignore")
formula <- y ~ setting + (1 | init) + (1 | order) + (1 | init:order) + (1 | init:setting) + (1 | order:setting)
found <- as.data.frame(VarCorr(lmer(formula, runs, control = control)))
v <- setNames(found$vcov, found$grp)
out <- c(init = v[["init"]] + v[["init:setting"]], order = v[["order"]] + v[["order:setting"]],
         both = v[["init:order"]] + v[["Residual"]])
write.csv(data.frame(quantity = names(out), value = out), file.path(folder, "found.csv"), row.names = FALSE)
