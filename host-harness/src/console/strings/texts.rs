//! The texts themselves.

/// How many rules there are; a file of S3's form may have more than OSS takes.
fn of_twenty(count: usize, rules: &str, of: &str) -> String {
    if count > 20 { format!("{count} {rules}") } else { format!("{count}{of}") }
}

/// Declares the texts of both languages, each by its name.
macro_rules! texts {
    (
        words { $($name:ident: $english:literal, $chinese:literal;)+ }
        told { $($of:ident($argument:ident: $type:ty): $told:expr, $told_in_chinese:expr;)+ }
    ) => {
        /// The texts of a language.
        pub(in crate::console) struct Strings {
            $(pub(in crate::console) $name: &'static str,)+
            $(pub(in crate::console) $of: fn($type) -> String,)+
        }

        pub(super) const ENGLISH: Strings = Strings {
            $($name: $english,)+
            $($of: |$argument| $told,)+
        };

        pub(super) const CHINESE: Strings = Strings {
            $($name: $chinese,)+
            $($of: |$argument| $told_in_chinese,)+
        };

        /// Each text's name, and what it is in both languages.
        #[cfg(test)]
        pub(super) fn pairs() -> Vec<(&'static str, &'static str, &'static str)> {
            vec![$((stringify!($name), $english, $chinese),)+]
        }
    };
}

texts! {
    words {
    brand: "Back-to-origin", "Back-to-origin";
    skip_to_content: "Skip to the content", "跳到正文";
    main_menu: "Main menu", "主菜单";
    language: "Language", "语言";
    theme: "Colours", "配色";
    theme_auto: "System colours", "跟随系统";
    theme_light: "Light", "浅色";
    theme_dark: "Dark", "深色";
    apply: "Apply", "应用";
    copy: "Copy", "复制";
    same_by_command: "The same on the command line", "用命令行查看";
    yes: "yes", "是";
    no: "no", "否";
    unset: "not set", "未设置";
    unknown: "unknown", "未知";
    cancel: "Cancel", "取消";
    save: "Save", "保存";
    editor: "Editor", "编辑者";
    reader: "Reader", "只读者";
    open_to_this_machine: "Open to this machine", "仅限本机使用";
    sign_in: "Sign in", "登录";
    sign_out: "Sign out", "退出登录";
    password: "Password", "密码";
    access_key_id: "Access key ID", "访问密钥 ID";
    access_key_id_help: "Leave it empty to sign in with a password of the console.",
        "使用控制台密码登录时请留空。";
    wrong_password: "That is not right.", "登录信息不正确。";
    signed_out: "You are not signed in any more. Sign in, go back, and try it again.",
        "您已退出登录。请登录后返回重试。";
    wrong_host: "Without a password the console is for this machine: open it at 127.0.0.1 or localhost.",
        "未设置密码时控制台仅限本机使用：请通过 127.0.0.1 或 localhost 打开。";
    wrong_method: "The console takes GET and POST.", "控制台只接受 GET 和 POST。";
    foreign_form: "This form was not sent from a page of this console, or from an old one. Load the page again.",
        "此表单不是由本控制台的页面发送，或页面已过期。请重新加载页面。";
    form_is_gone: "The form was reviewed too long ago. Open it again.", "此表单已过期，请重新打开。";
    form_too_large: "The form is too large, or did not arrive.", "表单过大，或未能送达。";
    only_editors: "Only editors change rules.", "只有编辑者可以修改规则。";
    you_only_look: "You are signed in as a reader: you see the rules and do not change them.",
        "您以只读者身份登录：可以查看规则，不能修改。";
    cannot: "That is not possible", "无法完成";
    no_such_page: "There is no such page.", "没有这个页面。";
    no_such_rule: "There is no such rule.", "没有这条规则。";
    back_to_buckets: "Back to the buckets", "返回存储空间列表";
    nothing_has_changed: "Nothing has changed", "未做任何更改";
    buckets: "Buckets", "存储空间";
    bucket: "Bucket", "存储空间";
    store: "Store", "存储服务";
    rules: "Rules", "规则";
    history: "History", "历史";
    raw: "Text", "文本";
    deployment_refused: "The deployment is refused", "部署配置未通过检查";
    deployment_refused_help: "Gateways go on with what they had. Put it right; the pages show it again then.",
        "网关继续使用原有配置。修正后此页面将恢复显示。";
    number: "No.", "序号";
    condition: "Condition", "条件";
    mode: "Mode", "模式";
    leads_to: "Leads to", "目标";
    actions: "Actions", "操作";
    rules_in_order: "The rules, in the order in which they are tried", "规则，按匹配顺序排列";
    first_applies: "The rules are tried from the top. The first whose whole condition holds applies.",
        "规则自上而下依次匹配，第一条条件全部满足的规则生效。";
    create_rule: "Create Rule", "创建规则";
    edit: "Edit", "编辑";
    duplicate: "Duplicate", "复制一份";
    move_up: "Move Up", "上移";
    move_down: "Move Down", "下移";
    move_a_rule: "Move a rule", "移动规则";
    delete: "Delete", "删除";
    clear: "Clear", "清空";
    clear_all: "Clear all rules", "清空所有规则";
    no_more_rules: "There are as many rules as there can be.", "规则数量已达上限。";
    no_rules: "There is no rule yet.", "还没有规则。";
    no_rules_help: "What the bucket does not have is a 404. Create a rule to fetch it from an origin, or to send clients elsewhere.",
        "存储空间中不存在的文件返回 404。创建规则即可从源站获取，或将客户端重定向到别处。";
    file_is_broken: "The rule file cannot be changed as a list", "规则文件无法按列表修改";
    can_be_undone: "The history keeps them: there you can undo this.", "历史中会保留这些规则，可在那里撤销。";
    changed_meanwhile: "Somebody else has changed the rules meanwhile. Nothing of yours was saved.",
        "规则已被他人修改。您的更改未保存。";
    changed_meanwhile_look: "Somebody else has changed the rules since you opened the form. This is what your change would make of the rules that are there now.",
        "在您打开表单之后，规则已被他人修改。以下是您的更改应用到当前规则后的结果。";
    secrets_are_masked: "Secrets are shown as ********.", "机密以 ******** 显示。";
    looks_the_same: "Nothing that can be shown changes.", "没有可显示的变化。";
    looks_the_same_help: "A secret may be another one all the same.", "机密内容仍可能有变化。";
    back_to_form: "Back to the form", "返回表单";
    done_cleared: "All rules are cleared. The history has them.", "所有规则已清空，可在历史中找回。";
    done_deleted: "The rule is deleted.", "规则已删除。";
    done_moved: "The rule is moved.", "规则已移动。";
    done_restored: "The rules are as they were then.", "规则已恢复。";
    done_saved: "The rules are saved, and live.", "规则已保存并生效。";
    prefix: "prefix", "前缀";
    suffix: "suffix", "后缀";
    status: "status", "状态码";
    header: "header", "请求头";
    always: "every request", "所有请求";
    mirroring: "Mirroring", "镜像";
    mirroring_help: "What the bucket lacks is fetched from the origin, answered and stored.",
        "从源站获取缺失的文件，返回给客户端并存储。";
    redirection: "Redirection", "重定向";
    redirection_help: "The client is sent elsewhere.", "将客户端重定向到别处。";
    prerequisite: "Prerequisite", "回源条件";
    file_name_prefix: "File Name Prefix", "文件名前缀";
    prefix_help: "The key starts with it, as examplefolder/. Leave it empty for every key.",
        "文件名以此开头，例如 examplefolder/。留空则匹配所有文件。";
    file_name_suffix: "File Name Suffix", "文件名后缀";
    error_code: "Error code of the bucket", "存储空间返回的错误码";
    error_code_help: "404 for mirroring. Several are separated by commas; 4XX and 5XX are classes.",
        "镜像回源为 404。多个值用逗号分隔；4XX 和 5XX 表示一类状态码。";
    request_headers: "Request headers", "请求头";
    request_headers_help: "All of them must be there. A name alone is met by any value.",
        "必须全部满足。只填名称则任意值均可。";
    header_name: "Name", "名称";
    header_value: "Value", "值";
    equals: "equals", "等于";
    starts_with: "starts with", "开头为";
    ends_with: "ends with", "结尾为";
    origin_url: "Origin URL", "回源地址";
    origin_url_help: "The origin is asked for this address and the key behind it.",
        "向源站请求的地址为此地址加文件名。";
    scheme: "Scheme", "协议";
    host: "Host", "域名";
    path: "Path", "路径";
    name_folder_twice: "Name the folder twice", "文件夹出现两次";
    name_folder_twice_help: "Where the path ends with the folder of the prefix, it is named once; tick this to have it twice.",
        "路径以前缀中的文件夹结尾时只出现一次；勾选则出现两次。";
    folder_is_named_once: "Prefix and path name the same folder. The origin is asked for it once:",
        "前缀与路径是同一个文件夹，向源站请求时只出现一次：";
    transfer_query: "Transfer queryString", "携带请求字符串";
    follow_redirects: "Follow the origin's redirects", "跟随源站重定向";
    follow_redirects_help: "Otherwise the client gets them.", "否则将重定向返回给客户端。";
    header_rules: "Transmission of HTTP headers", "HTTP 头传递规则";
    header_rules_help: "No header of the client reaches the origin unless it is named here. Never passed: content-length, authorization, range, date, conditions, and what begins with x-oss-, oss-, x-drs-, x-amz-.",
        "未在此处指定的客户端请求头不会传给源站。以下请求头从不传递：content-length、authorization、range、date、条件请求头，以及以 x-oss-、oss-、x-drs-、x-amz- 开头的请求头。";
    pass_all: "Pass all", "传递所有请求头";
    pass_these: "Pass these", "传递指定的请求头";
    remove_these: "But not these", "禁止传递指定的请求头";
    names_help: "Names, separated by commas.", "名称，用逗号分隔。";
    set_these: "Set these", "设置请求头";
    set_these_help: "A value that is there is not shown; leave it empty to keep it.",
        "已有的值不显示；留空则保持不变。";
    secret_kept: "(kept, not shown)", "（已保存，不显示）";
    for_s3_tools: "For S3 tools", "适配 S3 工具";
    allow_head: "HEAD fetches too", "HEAD 请求也回源";
    allow_head_help: "aws s3 cp, rclone and boto3 ask HEAD first.",
        "aws s3 cp、rclone 和 boto3 会先发送 HEAD。";
    keep_last_modified: "Keep the origin's Last-Modified", "保留源站的 Last-Modified";
    redirection_code: "Redirection code", "重定向状态码";
    redirect_to: "Redirect to", "重定向到";
    the_requests: "the request's", "与请求相同";
    replace_key: "Replace the key with", "替换整个文件名";
    replace_key_help: "${key} stands for the old key: prefix/${key}.suffix",
        "${key} 代表原文件名：prefix/${key}.suffix";
    file_prefix: "Replace or delete the file prefix", "替换或删除文件前缀";
    replace_prefix: "Replace the prefix", "替换前缀";
    replace_prefix_help: "The prefix gives way to the text below; with that empty it is cut off.",
        "前缀替换为下面的内容；留空则删除前缀。";
    new_prefix: "New prefix", "新前缀";
    example: "Example", "示例";
    example_key: "Key of the request", "请求的文件名";
    example_key_auto: "one that the rule is about", "此规则匹配的文件名";
    example_headers: "Headers of the request", "请求的 HTTP 头";
    example_later: "The rule cannot be told of yet: fill in where it leads.", "尚无法说明此规则：请先填写目标。";
    client_asks: "The client asks", "客户端请求";
    origin_is_asked: "The origin is asked", "向源站请求";
    client_is_sent: "The client is sent to", "客户端被重定向到";
    nothing_happens: "The rule does nothing", "规则不生效";
    never_passed: "never passed", "从不传递";
    in_detail: "In detail", "详细说明";
    show: "Show", "查看";
    more: "More", "更多";
    more_help: "Every other element that a rule can have.", "规则可用的所有其他元素。";
    not_supported: "Not available here:", "此处不可用：";
    only_off: "It can only be off:", "只能关闭：";
    required: "It must be there.", "必填。";
    default_is: "Without it:", "默认：";
    limits_are: "Limits:", "限制：";
    look_at_the_marks: "Nothing is saved yet. Look at the marks below.", "尚未保存。请查看下方标记。";
    review: "Review", "预览更改";
    no_history: "Nothing was changed here yet.", "尚无更改记录。";
    no_history_help: "Each change by the console, the API or the command line leaves the set before it here.",
        "通过控制台、API 或命令行进行的每次更改都会在此保留之前的规则。";
    history_help: "The sets of rules that were replaced, the newest first. The last twenty are kept.",
        "被替换的规则集，最新的在前，保留最近二十份。";
    replaced_at: "Replaced at", "替换时间";
    restore: "Restore", "恢复";
    undo: "Undo the last change", "撤销上次更改";
    restore_these: "Bring these rules back", "恢复这些规则";
    raw_help: "The whole set, in", "全部规则，位于";
    edit_text: "Edit as text", "以文本编辑";
    edit_text_help: "JSON or XML, of OSS's form or S3's. It replaces the whole set. Put secrets in place of ********.",
        "JSON 或 XML，OSS 或 S3 格式均可，将替换全部规则。请将 ******** 替换为机密本身。";
    text_of_the_set: "Text of the set", "规则文本";
    activity: "Activity", "动态";
    no_activity_here: "The requests of this deployment are not told of here.", "此处没有该部署的请求记录。";
    no_activity_here_help: "They are where the console is part of b2o serve. An Envoy writes them to its log.",
        "控制台随 b2o serve 运行时可查看。Envoy 将其写入日志。";
    find_lines: "Lines with these words", "包含以下文字的记录";
    find_lines_help: "A bucket, a key, a status, a rule: all of the words must be there. The last 200 lines are shown, the newest first.",
        "存储空间、文件名、状态码或规则：须包含全部文字。显示最近 200 条，最新的在前。";
    no_lines: "There is no such line yet.", "还没有这样的记录。";
    last_failures: "Last failures", "最近的失败";
    no_failures: "There were none lately.", "最近没有失败。";
    decided: "Decided", "处理请求";
    failed: "Failed", "失败";
    stored: "Stored", "已存储";
    not_stored: "Not stored", "未存储";
    last_miss: "Last miss", "最近一次缺失";
    none_yet: "none yet", "尚无";
    since_start: "Counted since the gateway started, or its workers began anew.", "自网关启动以来的计数。";
    no_figures: "The figures are unknown: no gateway answers. Name its admin address in the deployment file, or run the console as part of b2o serve.",
        "数据未知：网关没有应答。请在部署文件中填写 admin 地址，或随 b2o serve 运行控制台。";
    clients_are_failed: "Clients were failed", "有客户端请求失败";
    test: "Test", "测试";
    test_help: "Asks every store and origin, as b2o doctor does.", "像 b2o doctor 一样检查每个存储服务和源站。";
    test_writes: "write a probe object too, and remove it", "同时写入并删除一个探测文件";
    test_is_running: "A test is under way. Try it again in a moment.", "测试正在进行，请稍后重试。";
    test_is_sound: "Nothing stands in the way of clients.", "一切正常。";
    test_is_not_sound: "Mend what is marked before clients come.", "请先修正标出的问题。";
    server: "Server", "服务器";
    origin: "Origin", "源站";
    found_sound: "Found sound", "正常项";
    findings: "Findings", "发现";
    try_it: "Try it", "试一试";
    try_help: "Nothing is sent anywhere. The rules say what they would do.",
        "不会发送任何请求，只说明规则会如何处理。";
    method: "Method", "方法";
    key: "Key", "文件名";
    query: "Query", "查询字符串";
    bucket_answers: "Bucket answers", "存储空间返回";
    explain: "Explain", "说明";
    what_happens: "What happens", "结果";
    rule: "Rule", "规则";
    applies: "applies", "生效";
    does_not_apply: "does not apply:", "不生效：";
    }
    told {
    of_twenty(count: usize): of_twenty(count, "rules", " of 20 rules"),
        of_twenty(count, "条规则", " / 20 条规则");
    wait_seconds(seconds: u64): format!("That was not right too often. Try it again in {seconds} seconds."),
        format!("失败次数过多。请在 {seconds} 秒后重试。");
    edit_number(number: u64): format!("Edit rule {number}"),
        format!("编辑规则 {number}");
    duplicate_number(number: u64): format!("Duplicate rule {number}"),
        format!("复制规则 {number}");
    move_up_number(number: u64): format!("Move Up rule {number}"),
        format!("上移规则 {number}");
    move_down_number(number: u64): format!("Move Down rule {number}"),
        format!("下移规则 {number}");
    delete_number(number: u64): format!("Delete rule {number}"),
        format!("删除规则 {number}");
    these_go(count: usize): format!("Rules that go, with all that they say: {count}"),
        format!("将被删除：{count} 条");
    cannot_say(count: usize): format!("This form cannot say everything: {count}"),
        format!("此格式无法表达的内容：{count}");
    }
}
