# Shared by `run` and `judge`: one line per judgement, counted.
# Wants $work (a scratch folder) set by whoever reads it.

passed=0 failed=0

# expect WANTED(0: must succeed, 1: must be refused) NAME COMMAND...
expect() {
    local wanted=$1 name=$2 status=0
    shift 2
    "$@" >"$work/out" 2>&1 || status=1
    if [ "$status" = "$wanted" ]; then
        passed=$((passed + 1))
        echo "ok    $name"
    else
        failed=$((failed + 1))
        echo "FAIL  $name"
        sed 's/^/      /' "$work/out" | head -n 30
    fi
}

# The closing line, and whether all held.
close() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

# need COMMAND PACKAGE: installed if it is not there.
need() {
    command -v "$1" >/dev/null && return
    echo "installing $2, for $1"
    local root=()
    [ "$(id -u)" = 0 ] || root=(sudo -n)
    { "${root[@]}" apt-get -qq update &&
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "$2"; } \
        >"$work/install" 2>&1 && command -v "$1" >/dev/null && return
    cat "$work/install"
    echo "$1 is not there and could not be installed: apt-get install $2"
    exit 3
}

# token_inside XML OUT: the same of an evidence, whose stamp is over the canonical element of the signature value.
token_inside() {
    local element
    xmllint --xpath '//*[local-name()="EncapsulatedTimeStamp"]/text()' "$1" | base64 -d >"$2" || return 1
    element=$(grep -o '<ds:SignatureValue Id=[^>]*>[^<]*</ds:SignatureValue>' "$1") || return 1
    printf '<ds:SignatureValue xmlns:ds="http://www.w3.org/2000/09/xmldsig#"%s' "${element#<ds:SignatureValue}" |
        xmllint --exc-c14n - >"$2.signed"
}

# token P7S|XML OUT: the time-stamp token out of the unsigned attribute, the signature value that it is over to OUT.signed.
token() {
    local at line
    [[ $1 != *.xml ]] || { token_inside "$@"; return; }
    openssl asn1parse -inform DER -in "$1" >"$work/asn1" || return 1
    at=$(awk '/id-smime-aa-timeStampToken/ {seen = 1; next} seen && /SEQUENCE/ {print; exit}' "$work/asn1" | cut -d: -f1)
    openssl asn1parse -inform DER -in "$1" -strparse "$((at))" -noout -out "$2" || return 1
    # The signature is the last OCTET STRING before the unsigned attributes.
    line=$(awk '/id-smime-aa-timeStampToken/ {exit} /OCTET STRING/ {last = $0} END {print last}' "$work/asn1")
    local offset header length
    offset=$(echo "$line" | cut -d: -f1 | tr -d ' ')
    header=$(echo "$line" | sed 's/.*hl= *\([0-9]*\).*/\1/')
    length=$(echo "$line" | sed 's/.* l= *\([0-9]*\).*/\1/')
    tail -c +"$((offset + header + 1))" "$1" | head -c "$length" >"$2.signed"
}
