// Builds the one page: everything inlined, nothing loaded from elsewhere. The same bytes on Node 18 and 20.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const bundle = async (entry) => {
  const { outputFiles } = await build({
    entryPoints: [entry], bundle: true, minify: true, write: false, target: "es2020", charset: "utf8",
    legalComments: "none", jsx: "automatic", jsxImportSource: "preact",
  });
  return outputFiles[0].text.trim().replace(/<(\/script|!--)/gi, "\\x3c$1");
};
const script = await bundle("src/main.tsx");
const style = await bundle("src/style.css");
const sha256 = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const licences = ["preact", "uplot"]
  .map((name) => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}`)
  .join("\n\n").replaceAll("--", "- -");
const fill = { script, style, licences, "script-hash": sha256(script), "style-hash": sha256(style) };
const page = readFileSync("src/page.html", "utf8").replace(/\{\{([a-z-]+)\}\}/g, (_, name) => fill[name]);
writeFileSync(process.argv[2] ?? "../page.html", page);
