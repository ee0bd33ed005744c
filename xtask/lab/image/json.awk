# Prints each leaf of a JSON text as PATH=VALUE, a path's parts joined by dots, elements of an array numbered from 0.
# Reads what our server writes: escapes other than \" \\ and \/ stay as they stand.

{ text = text $0 "\n" }

END {
  depth = 0
  while (length(text) > 0) {
    first = substr(text, 1, 1)
    if (first ~ /[ \t\r\n]/) {
      skip(1)
    } else if (first == ",") {
      if (kind[depth] == "array") name[depth]++
      else expects_key = 1
      skip(1)
    } else if (first == ":") {
      expects_key = 0
      skip(1)
    } else if (first == "{" || first == "[") {
      depth++
      kind[depth] = first == "{" ? "object" : "array"
      name[depth] = first == "{" ? "" : 0
      expects_key = first == "{"
      skip(1)
    } else if (first == "}" || first == "]") {
      depth--
      expects_key = 0
      skip(1)
    } else if (first == "\"") {
      match(text, /^"([^"\\]|\\.)*"/)
      if (RLENGTH < 2) exit 1
      value = substr(text, 2, RLENGTH - 2)
      skip(RLENGTH)
      gsub(/\\"/, "\"", value)
      gsub(/\\\//, "/", value)
      gsub(/\\\\/, "\\", value)
      if (expects_key) name[depth] = value
      else leaf(value)
    } else {
      match(text, /^[^],}[ \t\r\n]+/)
      if (RLENGTH < 1) exit 1
      value = substr(text, 1, RLENGTH)
      skip(RLENGTH)
      leaf(value)
    }
  }
}

function skip(count) { text = substr(text, count + 1) }

function leaf(value,    level, path) {
  path = name[1]
  for (level = 2; level <= depth; level++) path = path "." name[level]
  print path "=" value
}
